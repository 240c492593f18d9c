/**
 * The transfer function: how opaque the field is at which share of its range, as points that one can take hold of.  Pure.
 *
 * Points are (share of the range, opacity), both 0 to 1 and rising by share.  An empty list means a ramp, which is shown
 * by its two ends.
 */

import { MOST_POINTS } from "./look.js";

/** @typedef {[number, number]} Point */

const NEAR = 0.002;
/** @param {number} n */
const share = (n) => Math.min(1, Math.max(0, n));
/** @param {number} n */
const round = (n) => Math.round(1000 * n) / 1000;

/** @param {readonly Point[]} points @returns {Point[]} */
export function shown(points) {
  return points.length ? points.map(([x, y]) => [x, y]) : [[0, 0], [1, 1]];
}

/**
 * The point at a place, or −1.
 * @param {readonly Point[]} points
 * @param {Point} at
 * @param {number} reachX how near it has to be
 * @param {number} reachY
 */
export function pointAt(points, [x, y], reachX, reachY) {
  let best = -1;
  let nearest = 1;
  points.forEach(([px, py], i) => {
    const away = ((px - x) / reachX) ** 2 + ((py - y) / reachY) ** 2;
    if (away <= nearest) [best, nearest] = [i, away];
  });
  return best;
}

/** The points with one more, and its place among them; with −1 if there is room for none. @param {readonly Point[]} points @param {Point} at */
export function added(points, at) {
  if (points.length >= MOST_POINTS) return { points: shown(points), place: -1 };
  const made = [...shown(points), /** @type {Point} */ (at.map((n) => round(share(n))))].sort((a, b) => a[0] - b[0]);
  return { points: made, place: made.findIndex(([x, y]) => x === round(share(at[0])) && y === round(share(at[1]))) };
}

/** One point elsewhere; it does not pass its neighbours. @param {readonly Point[]} points @param {number} place @param {Point} to @returns {Point[]} */
export function moved(points, place, [x, y]) {
  const low = place > 0 ? points[place - 1][0] + NEAR : 0;
  const high = place < points.length - 1 ? points[place + 1][0] - NEAR : 1;
  const here = /** @type {Point} */ ([round(Math.min(high, Math.max(low, x))), round(share(y))]);
  return points.map((point, i) => (i === place ? here : point));
}

/** Without one point; two remain at least. @param {readonly Point[]} points @param {number} place @returns {Point[]} */
export function removed(points, place) {
  return points.length > 2 ? points.filter((_, i) => i !== place) : shown(points);
}
