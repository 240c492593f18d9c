/**
 * H.264 pictures, each of which follows from the one before: which of them can be decoded.  Decisions only.
 *
 * Frame numbers of a viewer count up by one, whatever the codec; a number that is missing, or a picture that did not
 * decode, breaks the chain, and nothing of it is decoded until a picture comes that decodes by itself.
 */

import { H264, KEY } from "./wire.js";

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {{width: number, height: number}} Size */

/** So many failures with hardly a picture in between, and H.264 is given up. */
export const MOST_FAILURES = 3;
/** Pictures in a row after which earlier failures are forgotten. */
export const SOUND = 60;

export class Chain {
  constructor() {
    this.last = 0;
    this.whole = false;
    this.asked = false;
    this.failures = 0;
    this.sound = 0;
  }

  /** A new connection: frame numbers start again, and the first picture decodes by itself. */
  reset() {
    this.last = 0;
    this.whole = false;
    this.asked = false;
  }

  /**
   * A picture has come, of whatever codec.  What is to be done with it if it is H.264: decode it, drop it, or drop it
   * and ask for one that decodes by itself.
   * @param {Frame} frame
   * @returns {"decode" | "drop" | "ask"}
   */
  arrive(frame) {
    if (frame.frame !== this.last + 1) this.whole = false;
    this.last = frame.frame;
    if (frame.codec !== H264) return "drop";
    if (frame.flags & KEY) {
      this.whole = true;
      this.asked = false;
    }
    if (this.whole) return "decode";
    if (this.asked) return "drop";
    this.asked = true;
    return "ask";
  }

  /** A picture was decoded. */
  decoded() {
    this.sound += 1;
    if (this.sound >= SOUND) this.failures = 0;
  }

  /** The decoder has failed: whether to try again, from a picture that decodes by itself. @returns {boolean} */
  failed() {
    this.whole = false;
    this.asked = true;
    this.sound = 0;
    this.failures += 1;
    return this.failures < MOST_FAILURES;
  }
}

/**
 * The name of an Annex B picture's codec, from its sequence parameter set; null if it has none.
 * @param {Uint8Array} payload
 * @returns {string | null}
 */
export function codecOf(payload) {
  for (let at = 0; at + 6 < payload.length; at += 1) {
    if (payload[at] || payload[at + 1] || payload[at + 2] !== 1 || (payload[at + 3] & 31) !== 7) continue;
    const digits = [...payload.subarray(at + 4, at + 7)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `avc1.${digits.join("")}`;
  }
  return null;
}

/**
 * How much of a decoded picture is the picture: it has an even size, and the one asked for, or half of it, may be odd.
 * A picture of yet another size is all of it.
 * @param {Size} decoded
 * @param {Size} asked
 * @returns {Size}
 */
export function within(decoded, asked) {
  const even = (/** @type {number} */ side) => side + (side & 1);
  for (const by of [1, 2]) {
    const [width, height] = [Math.floor(asked.width / by), Math.floor(asked.height / by)];
    if (even(width) === decoded.width && even(height) === decoded.height) return { width, height };
  }
  return { width: decoded.width, height: decoded.height };
}
