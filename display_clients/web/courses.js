/**
 * Small charts of objects' lives, one to a row of the table: which to ask for, and how they are drawn.  Pure.
 */

/** @typedef {{id: number, first_step: number, last_step: number, size: number[], mean: number[]}} Course */

export const WIDTH = 56, HEIGHT = 18;
/** So many are asked for at once; the server answers 64. */
export const MOST = 40;
/** So many are kept; those that have not been in sight for longest are forgotten. */
export const KEPT = 1000;

/** What an object's course depends on. @param {{voxels: number, final: boolean}} row */
export function keyOf({ voxels, final }) {
  return `${voxels} ${final}`;
}

/**
 * The objects whose courses are to be asked for: those in sight that are not known as they are now.
 * @param {Iterable<number>} inSight ids, the uppermost first
 * @param {ReadonlyMap<number, {voxels: number, final: boolean}>} rows
 * @param {ReadonlyMap<number, {key: string}>} known
 */
export function due(inSight, rows, known) {
  const wanted = [];
  for (const id of inSight) {
    const row = rows.get(id);
    if (row && known.get(id)?.key !== keyOf(row)) wanted.push(id);
    if (wanted.length === MOST) break;
  }
  return wanted;
}

/** @param {number} n */
const short = (n) => String(Number(n.toFixed(1)));

/**
 * How a course is drawn: its size as an area from 0 on, its mean value as a line between its least and its largest.
 * @param {Course} course
 * @returns {{area: string, line: string}} paths of an SVG of WIDTH by HEIGHT
 */
export function drawn({ size, mean }) {
  const x = (/** @type {number} */ i, /** @type {number} */ n) => short(n > 1 ? 1 + (i / (n - 1)) * (WIDTH - 2) : 1 + i * (WIDTH - 2));
  const whole = size.length === 1 ? [size[0], size[0]] : size;
  const values = mean.length === 1 ? [mean[0], mean[0]] : mean;
  if (!whole.length) return { area: "", line: "" };
  const largest = Math.max(...whole) || 1;
  const top = whole.map((n, i) => `${i ? "L" : "M"}${x(i, whole.length)} ${short(HEIGHT - 1 - (Math.max(0, n) / largest) * (HEIGHT - 3))}`).join("");
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const share = (/** @type {number} */ n) => (high > low ? (n - low) / (high - low) : 0.5);
  const line = values.map((n, i) => `${i ? "L" : "M"}${x(i, values.length)} ${short(HEIGHT - 2 - share(n) * (HEIGHT - 4))}`).join("");
  return { area: `${top}L${WIDTH - 1} ${HEIGHT - 1}L1 ${HEIGHT - 1}Z`, line };
}
