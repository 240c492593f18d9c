/**
 * The orbiting camera: how dragging, wheel, fingers and keys move it.  Pure: a camera in, a camera out.
 *
 * The scene lies around the origin with radius 1: x along the volume's last axis, y along the middle one, z up along
 * the first one.  At azimuth 0 the eye stands at −y and looks along +y; azimuth grows as the eye walks
 * towards +x, elevation as it climbs.  At the poles "up" in the picture is where the limit says.
 */

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {[number, number, number]} Vector (x, y, z) */
/** @typedef {{width: number, height: number}} Size in CSS pixels */

/** The vertical angle that the picture spans. */
export const VIEW_ANGLE = Math.PI / 6;
export const CLOSEST = 0.05;
export const FARTHEST = 40;
/** The target stays this near to the scene, so that nobody gets lost. */
export const REACH = 2;
const TURN = 2 * Math.PI;
const POLE = Math.PI / 2;

/** Where a newcomer stands: a little to the side and above. */
export const HOME = Object.freeze({ azimuth: -0.55, elevation: 0.5 });

/** @param {number} n @param {number} low @param {number} high */
const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

/** An angle in −π…π. @param {number} a */
const wrap = (a) => a - TURN * Math.round(a / TURN);

/**
 * A camera within its bounds.
 * @param {Camera} camera
 * @returns {Camera}
 */
export function bounded({ azimuth, elevation, distance, target }) {
  const [x, y, z] = target.map((n) => clamp(n, -REACH, REACH));
  return {
    azimuth: wrap(azimuth),
    elevation: clamp(elevation, -POLE, POLE),
    distance: clamp(distance, CLOSEST, FARTHEST),
    target: [x, y, z],
  };
}

/**
 * The distance from which the whole scene is in the picture, also in a tall and narrow one.
 * @param {Size} size
 */
export function fitDistance({ width, height }) {
  const narrow = Math.min(1, width / Math.max(1, height));
  return 1.12 / Math.sin(Math.atan(Math.tan(VIEW_ANGLE / 2) * narrow));
}

/**
 * The whole scene from where a newcomer stands, or from the given direction.
 * @param {Size} size
 * @param {{azimuth: number, elevation: number}} [direction]
 * @returns {Camera}
 */
export function fit(size, direction = HOME) {
  return bounded({ ...direction, distance: fitDistance(size), target: [0, 0, 0] });
}

/**
 * Looking along one of the volume's axes (0, 1, 2 in (z, y, x) order): along 0 from above, like a map.
 * @param {0 | 1 | 2} axis
 * @param {Size} size
 * @param {boolean} [behind] from the other side
 * @returns {Camera}
 */
export function along(axis, size, behind = false) {
  const directions = [
    { azimuth: 0, elevation: POLE },
    { azimuth: 0, elevation: 0 },
    { azimuth: POLE, elevation: 0 },
  ];
  const { azimuth, elevation } = directions[axis];
  if (!behind) return fit(size, { azimuth, elevation });
  return fit(size, axis === 0 ? { azimuth, elevation: -elevation } : { azimuth: azimuth + Math.PI, elevation });
}

/**
 * Right and up of the picture, in the scene.
 * @param {Camera} camera
 * @returns {{right: Vector, up: Vector}}
 */
export function basis({ azimuth, elevation }) {
  const [sa, ca, se, ce] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
  return { right: [ca, sa, 0], up: [-se * sa, se * ca, ce] };
}

/**
 * The length of one pixel at the target.
 * @param {Camera} camera
 * @param {Size} size
 */
export function unitsPerPixel({ distance }, { height }) {
  return (2 * distance * Math.tan(VIEW_ANGLE / 2)) / Math.max(1, height);
}

/**
 * The scene turns with the pointer: half a turn over the shorter side of the picture.
 * @param {Camera} camera
 * @param {number} dx pixels to the right
 * @param {number} dy pixels down
 * @param {Size} size
 * @returns {Camera}
 */
export function orbit(camera, dx, dy, size) {
  const perPixel = Math.PI / Math.max(1, Math.min(size.width, size.height));
  return bounded({
    ...camera,
    azimuth: camera.azimuth - dx * perPixel,
    elevation: camera.elevation + dy * perPixel,
  });
}

/**
 * The scene moves with the pointer, pixel for pixel at the target.
 * @param {Camera} camera
 * @param {number} dx pixels to the right
 * @param {number} dy pixels down
 * @param {Size} size
 * @returns {Camera}
 */
export function pan(camera, dx, dy, size) {
  const unit = unitsPerPixel(camera, size);
  const { right, up } = basis(camera);
  const [x, y, z] = camera.target.map((n, i) => n - right[i] * dx * unit + up[i] * dy * unit);
  return bounded({ ...camera, target: [x, y, z] });
}

/**
 * Nearer (factor below 1) or farther; what lies under the point stays under it.
 * @param {Camera} camera
 * @param {number} factor of the distance
 * @param {{x: number, y: number}} point from the picture's middle, in pixels, y down
 * @param {Size} size
 * @returns {Camera}
 */
export function zoom(camera, factor, point, size) {
  const distance = clamp(camera.distance * factor, CLOSEST, FARTHEST);
  const moved = { ...camera, distance };
  const share = 1 - camera.distance / distance;
  return pan(moved, point.x * share, point.y * share, size);
}

/**
 * How much one turn of the wheel zooms.  Pixels, lines and pages differ between browsers and devices.
 * @param {number} delta
 * @param {number} mode the event's deltaMode
 */
export function wheelFactor(delta, mode) {
  const pixels = delta * (mode === 1 ? 33 : mode === 2 ? 400 : 1);
  return Math.exp(clamp(pixels, -240, 240) * 0.0016);
}

/** @typedef {{x: number, y: number}} Point */

/**
 * Two fingers have moved: the scene follows them, nearer as they part.
 * @param {Camera} camera
 * @param {[Point, Point]} before from the picture's middle
 * @param {[Point, Point]} after
 * @param {Size} size
 * @returns {Camera}
 */
export function pinch(camera, before, after, size) {
  const middle = (/** @type {[Point, Point]} */ [a, b]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const apart = (/** @type {[Point, Point]} */ [a, b]) => Math.max(8, Math.hypot(a.x - b.x, a.y - b.y));
  const [from, to] = [middle(before), middle(after)];
  const moved = pan(camera, to.x - from.x, to.y - from.y, size);
  return zoom(moved, apart(before) / apart(after), to, size);
}

/** What a key does: pixels to orbit or pan, a factor to zoom, or fit. */
const KEYS = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
});

/**
 * The camera after a key, or null if the key means nothing here.
 * @param {Camera} camera
 * @param {string} key
 * @param {boolean} shift pans instead of turning
 * @param {Size} size
 * @returns {Camera | null}
 */
export function press(camera, key, shift, size) {
  const arrow = KEYS[key];
  const step = Math.min(size.width, size.height) / 24;
  if (arrow) return (shift ? pan : orbit)(camera, arrow[0] * step, arrow[1] * step, size);
  if (key === "+" || key === "=") return zoom(camera, 0.85, { x: 0, y: 0 }, size);
  if (key === "-" || key === "_") return zoom(camera, 1 / 0.85, { x: 0, y: 0 }, size);
  if (key === "0" || key === "r" || key === "R") return fit(size);
  return null;
}

/**
 * The picture to ask for: the canvas in real pixels, at most 1920 × 1200, its aspect kept.
 * @param {Size} size in CSS pixels
 * @param {number} ratio devicePixelRatio
 * @returns {Size} in pixels, at least 16 each
 */
export function pictureSize({ width, height }, ratio) {
  const scale = Math.min(ratio, 1920 / Math.max(1, width), 1200 / Math.max(1, height));
  const side = (/** @type {number} */ n) => Math.max(16, Math.round(n * scale));
  return { width: side(width), height: side(height) };
}
