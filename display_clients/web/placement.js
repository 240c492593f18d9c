/**
 * From an orbiting camera to where the scene stands in the room of a wall, and back.  Pure.
 *
 * A wall has no camera: heads look at it, and what is turned, moved and scaled is the scene (Placement in
 * streamer/wire/viewing.py: wall point = centre + size · turn(scene point), in mm, x right, y up, z back).  So a camera
 * is brought to a wall by standing the scene before the head as it stands before the camera, with its target where the
 * scene's middle was, which is where the wall's own depth is comfortable.  What a camera has not, the roll of a scene
 * that somebody has turned by hand, is lost on the way back.
 */

import { basis, bounded } from "./camera.js";

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {[number, number, number]} Vector */
/** @typedef {{centre: Vector, turn: [number, number, number, number], size: number}} Placement */
/** @typedef {{position: Vector, turn: [number, number, number, number]}} Head */
/** Where the head is, which way the scene's middle lies from there, and how far. @typedef {{head: Vector, ahead: Vector, away: number}} Anchor */

export const SMALLEST = 1e-3, LARGEST = 1e7;
/** The scene's middle is taken to be at least so far from the head, in mm. */
const NEAREST_MM = 10;

const dot = (/** @type {Vector} */ a, /** @type {Vector} */ b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
/** @param {Vector} a @param {Vector} b @returns {Vector} */
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
/** @param {Vector} a @param {Vector} b @param {number} by @returns {Vector} */
const plus = (a, b, by = 1) => [a[0] + by * b[0], a[1] + by * b[1], a[2] + by * b[2]];
/** @param {Vector} a @returns {Vector} */
const unit = (a) => /** @type {Vector} */ (a.map((n) => n / Math.hypot(...a)));
/** @param {unknown} list @param {number} length */
const row = (list, length) => Array.isArray(list) && list.length === length && list.every((n) => typeof n === "number" && Math.abs(n) < 1e12);

/** A placement and a head from what may be anything; null if they are none. @param {any} placement @param {any} head */
export function soundPlace(placement, head) {
  if (!row(placement?.centre, 3) || !row(placement?.turn, 4) || !row(head?.position, 3)) return null;
  if (!(placement.size >= SMALLEST && placement.size <= LARGEST) || Math.hypot(...placement.turn) < 0.5) return null;
  return { placement: /** @type {Placement} */ (placement), head: /** @type {Vector} */ (head.position) };
}

/** A turn as its three columns: where it takes x, y and z. @param {Placement["turn"]} turn @returns {[Vector, Vector, Vector]} */
export function columns(turn) {
  const [x, y, z, w] = turn.map((n) => n / Math.hypot(...turn));
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
    [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
    [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
  ];
}

/** The turn with these columns (Shepperd's method). @param {[Vector, Vector, Vector]} of @returns {Placement["turn"]} */
export function turnOf([a, b, c]) {
  const squares = [1 + a[0] - b[1] - c[2], 1 - a[0] + b[1] - c[2], 1 - a[0] - b[1] + c[2], 1 + a[0] + b[1] + c[2]];
  const most = squares.indexOf(Math.max(...squares));
  const s = 2 * Math.sqrt(squares[most]);
  const [yz, zx, xy] = [b[2] + c[1], c[0] + a[2], a[1] + b[0]];
  const [p, q, r] = [b[2] - c[1], c[0] - a[2], a[1] - b[0]];
  if (most === 0) return [s / 4, xy / s, zx / s, p / s];
  if (most === 1) return [xy / s, s / 4, yz / s, q / s];
  if (most === 2) return [zx / s, yz / s, s / 4, r / s];
  return [p / s, q / s, r / s, s / 4];
}

/** Right, up and back of somebody who looks that way in the room. @param {Vector} ahead @returns {[Vector, Vector, Vector]} */
function stance(ahead) {
  const level = cross(ahead, [0, 1, 0]);
  const right = Math.hypot(...level) < 1e-3 ? /** @type {Vector} */ ([1, 0, 0]) : unit(level);
  return [right, unit(cross(right, ahead)), /** @type {Vector} */ (ahead.map((n) => -n))];
}

/** @param {Placement} placement @param {Vector} head @returns {Anchor} */
export function anchorOf({ centre }, head) {
  const way = plus(centre, head, -1);
  const away = Math.hypot(...way);
  return away < NEAREST_MM ? { head, ahead: [0, 0, -1], away: NEAREST_MM } : { head, ahead: unit(way), away };
}

/** Where the scene stands so that the head sees what the camera sees. @param {Camera} camera @param {Anchor} anchor @returns {Placement} */
export function placementOf(camera, { head, ahead, away }) {
  const { right, up } = basis(camera);
  const mine = [right, up, cross(right, up)];
  const theirs = stance(ahead);
  const to = /** @type {[Vector, Vector, Vector]} */ ([0, 1, 2].map((axis) =>
    mine.reduce((sum, one, i) => plus(sum, theirs[i], one[axis]), /** @type {Vector} */ ([0, 0, 0]))));
  const size = Math.min(LARGEST, Math.max(SMALLEST, away / camera.distance));
  const target = to.reduce((sum, column, axis) => plus(sum, column, camera.target[axis]), /** @type {Vector} */ ([0, 0, 0]));
  return { centre: plus(plus(head, ahead, away), target, -size), turn: turnOf(to), size };
}

/** What a head sees, as far as a camera has it: from there to the scene's middle. @param {Placement} placement @param {Vector} head @returns {Camera} */
export function cameraAt(placement, head) {
  const { ahead, away } = anchorOf(placement, head);
  const [x, y, z] = columns(placement.turn).map((column) => -dot(column, ahead));
  const flat = Math.hypot(x, y);
  // Straight from above or below the scene's turn about its own axis says where up is.
  const azimuth = flat > 1e-6 ? Math.atan2(x, -y) : Math.atan2(...twist(placement, ahead, z));
  return bounded({ azimuth, elevation: Math.atan2(z, flat), distance: away / placement.size, target: [0, 0, 0] });
}

/** @param {Placement} placement @param {Vector} ahead @param {number} z above or below @returns {[number, number]} sine and cosine */
function twist({ turn }, ahead, z) {
  const up = stance(ahead)[1];
  const [x, y] = columns(turn).map((column) => dot(column, up));
  const sign = z > 0 ? 1 : -1;
  return [-sign * x, sign * y];
}
