/**
 * Pictures and films to take away: what is asked of the server, and how far a film has come.  Pure.
 */

import { pictureSize } from "./camera.js";

/** @typedef {"plain" | "large" | "turn" | "time"} Kind */
/** @typedef {{width: number, height: number}} Size */

/** How many times as large the large picture is. */
export const LARGE = 4;
/** A film is made in this size at the most, and of so many seconds. */
const FILM = { width: 1280, height: 800 };
const SECONDS = 10;
/** Pictures of a second, which is a fragment of the file. */
const RATE = 25;

/**
 * What is sent to which of the run's paths.
 * @param {Kind} kind
 * @param {Size} box of the picture in the page's own pixels
 * @param {number} ratio pixels of the screen to one of those
 * @param {import("./wire.js").Camera} camera
 * @param {object} look
 * @returns {{path: "picture" | "film", body: object}}
 */
export function wish(kind, box, ratio, camera, look) {
  const size = pictureSize(box, 1);
  if (kind === "plain" || kind === "large") {
    const scale = kind === "large" ? LARGE : Math.min(LARGE, Math.max(1, Math.round(ratio)));
    return { path: "picture", body: { ...atLeast(size), scale, camera, look } };
  }
  const by = Math.min(1, FILM.width / size.width, FILM.height / size.height);
  const fitted = { width: Math.round(size.width * by), height: Math.round(size.height * by) };
  return { path: "film", body: { of: kind, ...atLeast(fitted), seconds: SECONDS, camera, look } };
}

/** @param {Size} size @returns {Size} */
function atLeast({ width, height }) {
  return { width: Math.max(64, width), height: Math.max(64, height) };
}

/** Counts the fragments of an MP4 file that comes in pieces of any size. */
export class Fragments {
  constructor() {
    this.count = 0;
    this.skip = 0;
    this.head = /** @type {number[]} */ ([]);
  }

  /** @param {Uint8Array} piece the next bytes of the file */
  push(piece) {
    for (let at = 0; at < piece.length; ) {
      if (this.skip > 0) {
        const step = Math.min(this.skip, piece.length - at);
        this.skip -= step;
        at += step;
        continue;
      }
      this.head.push(piece[at]);
      at += 1;
      if (this.head.length < 8) continue;
      const [a, b, c, d, ...type] = this.head;
      if (String.fromCharCode(...type) === "moof") this.count += 1;
      // A box that says less than its own header, or is longer than 4 GB, is not one of ours: nothing more is counted.
      const size = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      this.skip = size >= 8 ? size - 8 : Infinity;
      this.head = [];
    }
  }

  /** The share of a film that has come, 0 to 1. @param {number} frames it will have */
  share(frames) {
    return frames > 0 ? Math.min(1, (this.count * RATE) / frames) : 0;
  }
}

/**
 * What is said while it is made.
 * @param {Kind} kind
 * @param {number | null} share that has come; null: nothing is known
 */
export function progress(kind, share) {
  const what = kind === "turn" || kind === "time" ? "The film" : "The picture";
  return share === null ? `${what} is being made …` : `${what} is being made: ${Math.floor(100 * share)} %`;
}
