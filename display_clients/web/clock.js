/**
 * How the time cursor runs while it is played.  Pure.
 */

/** Steps a second that one can choose. */
export const SPEEDS = [1, 2, 5, 10, 20];

/**
 * Where the cursor is after a while.
 * @param {number} step where it was, fractional
 * @param {number} seconds since then
 * @param {number} speed steps a second
 * @param {number} last the last step there is
 * @param {boolean} loop it starts again after the last one
 * @param {number} [first] where it starts again
 * @returns {{step: number, ended: boolean}}
 */
export function advance(step, seconds, speed, last, loop, first = 0) {
  const next = step + Math.min(1, Math.max(0, seconds)) * speed;
  if (next < last + 1) return { step: next, ended: false };
  return loop && last > first ? { step: first + ((next - first) % (last - first + 1)), ended: false } : { step: last, ended: true };
}

/** Where playing begins: at the end, from the start again. @param {number | null} step null: live @param {number} last @param {number} [first] */
export function beginning(step, last, first = 0) {
  return step === null || step >= last || step < first ? first : step;
}
