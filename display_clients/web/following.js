/**
 * Following an object through time: where it is at a step, and how the camera keeps it in the middle.  Pure.
 */

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {import("./life.js").LifeStep} LifeStep */
/** @typedef {Pick<LifeStep, "step" | "y" | "x">} Place */
/** @typedef {{half: number[], ends: [number, number][], steps: number}} Room `ends`: the least and the largest coordinate along the scene's x, y, z */

/**
 * The step of a life that is nearest to a step of the run.
 * @param {readonly LifeStep[]} life by steps
 * @param {number} step
 * @returns {LifeStep | null} null: it is not there then
 */
export function there(life, step) {
  const [first, last] = [life[0], life.at(-1)];
  if (!first || !last || step < first.step || step > last.step) return null;
  return life.reduce((best, one) => (Math.abs(one.step - step) < Math.abs(best.step - step) ? one : best), first);
}

/**
 * The place at shares of the volume along (z, y, x); null as long as nobody has said where its axes end.
 * @param {[number, number, number]} shares
 * @param {Room} room
 * @param {boolean} descending whether y falls from one voxel to the next
 * @returns {Place | null}
 */
export function placeAt([z, y, x], { ends, steps }, descending) {
  if (ends.length !== 3) return null;
  const [[west, east], [south, north]] = ends;
  const up = descending ? 1 - y : y;
  return { step: Math.floor(z * steps), x: west + x * (east - west), y: south + up * (north - south) };
}

/**
 * The camera with the object in the middle; from where it looked before, on the globe from above.
 * @param {Camera} camera
 * @param {"cube" | "globe" | "map"} mode
 * @param {Place} place
 * @param {Room} room
 * @returns {Camera}
 */
export function centred(camera, mode, { step, y, x }, { half, ends, steps }) {
  if (mode === "globe") {
    const [east, north] = [x, y].map((degrees) => (degrees * Math.PI) / 180);
    return { ...camera, azimuth: east + Math.PI / 2, elevation: north, target: [0, 0, 0] };
  }
  const [[west, easternmost], [south, northernmost]] = ends;
  const [across, up] = [share(x, west, easternmost), share(y, south, northernmost)];
  if (mode === "map") {
    // A map's half diagonal is 0.95, as renderers/sheet.py has it.
    const scale = 1.9 / Math.hypot(easternmost - west, northernmost - south);
    const on = (/** @type {number} */ at, /** @type {number} */ low, /** @type {number} */ high) => (at - 0.5) * (high - low) * scale;
    return { ...camera, target: [on(across, west, easternmost), on(up, south, northernmost), 0] };
  }
  const time = steps > 0 ? (step + 0.5) / steps : 0.5;
  return { ...camera, target: [(2 * across - 1) * half[0], (2 * up - 1) * half[1], (2 * time - 1) * half[2]] };
}

/** @param {number} n @param {number} low @param {number} high */
function share(n, low, high) {
  return high > low ? Math.min(1, Math.max(0, (n - low) / (high - low))) : 0.5;
}
