/**
 * Where each chunk stands in the strip: one small map per slab along the first axis, from left to right.
 *
 * The maps are as large as the room allows and flow into lines.  With more chunks than pixels, a cell stands
 * for several chunks along the first axis and shows the one that needs looking at most.
 */

export const PENDING = 0, LEASED = 1, DONE = 2, FAILED = 3;

/**
 * @typedef {object} Strip
 * @property {number} cell side of a cell in pixels, its gap included
 * @property {number} gap between two maps
 * @property {number} perLine maps in a line
 * @property {number} slabs number of maps
 * @property {number} group chunks along the first axis that share a map
 * @property {number} height of it all
 */

/**
 * @param {readonly number[]} counts chunks along (z, y, x)
 * @param {number} width room in pixels
 * @param {number} tallest height that should not be passed
 * @returns {Strip}
 */
export function layout([nz, ny, nx], width, tallest) {
  for (let group = 1; ; group *= 2) {
    const slabs = Math.ceil(nz / group);
    for (let cell = 18; cell >= 3; cell -= 1) {
      const gap = Math.max(2, Math.round(cell / 2));
      const perLine = Math.min(slabs, Math.floor((width + gap) / (nx * cell + gap)));
      if (perLine < 1) continue;
      const lines = Math.ceil(slabs / perLine);
      const height = lines * ny * cell + (lines - 1) * gap;
      if (height <= tallest) return { cell, gap, perLine, slabs, group, height };
    }
    if (slabs === 1) {
      const cell = Math.max(0.25, Math.min(width / nx, tallest / ny));
      return { cell, gap: 0, perLine: 1, slabs: 1, group, height: ny * cell };
    }
  }
}

const URGENCY = [1, 2, 0, 3];

/**
 * The state that a cell shows: of its chunks the most telling one (failed, computing, pending, done).
 * @param {readonly number[]} states of all chunks in C order
 * @param {readonly number[]} counts chunks along (z, y, x)
 * @param {Strip} strip
 * @param {number} slab
 * @param {number} y
 * @param {number} x
 */
export function stateAt(states, [nz, ny, nx], strip, slab, y, x) {
  let shown = DONE;
  for (let z = slab * strip.group; z < Math.min(nz, (slab + 1) * strip.group); z += 1) {
    const state = states[(z * ny + y) * nx + x] ?? PENDING;
    if (URGENCY[state] > URGENCY[shown]) shown = state;
  }
  return shown;
}

/**
 * The upper left corner of a cell.  The middle axis is drawn as in the picture: upwards, unless its coordinate descends.
 * @param {Strip} strip
 * @param {readonly number[]} counts
 * @param {number} slab
 * @param {number} y
 * @param {number} x
 * @param {boolean} [descending] whether the middle axis' coordinate descends, such as latitude from the north
 */
export function corner(strip, [, ny, nx], slab, y, x, descending = false) {
  const { cell, gap, perLine } = strip;
  return {
    left: (slab % perLine) * (nx * cell + gap) + x * cell,
    top: Math.floor(slab / perLine) * (ny * cell + gap) + (descending ? y : ny - 1 - y) * cell,
  };
}

/**
 * The cell at a place of the strip, or null.
 * @param {Strip} strip
 * @param {readonly number[]} counts
 * @param {number} left
 * @param {number} top
 * @param {boolean} [descending]
 * @returns {{slab: number, y: number, x: number} | null}
 */
export function cellAt(strip, [, ny, nx], left, top, descending = false) {
  const { cell, gap, perLine, slabs } = strip;
  const [column, line] = [Math.floor(left / (nx * cell + gap)), Math.floor(top / (ny * cell + gap))];
  const x = Math.floor((left - column * (nx * cell + gap)) / cell);
  const row = Math.floor((top - line * (ny * cell + gap)) / cell);
  const slab = line * perLine + column;
  if (left < 0 || top < 0 || column >= perLine || x >= nx || row >= ny || slab >= slabs) return null;
  return { slab, y: descending ? row : ny - 1 - row, x };
}

/**
 * The middle of a cell as shares of the volume along (z, y, x).
 * @param {Strip} strip
 * @param {readonly number[]} counts
 * @param {{slab: number, y: number, x: number}} cell
 * @returns {[number, number, number]}
 */
export function middleOf(strip, [nz, ny, nx], { slab, y, x }) {
  const [first, last] = [slab * strip.group, Math.min(nz, (slab + 1) * strip.group)];
  return [(first + last) / 2 / nz, (y + 0.5) / ny, (x + 0.5) / nx];
}
