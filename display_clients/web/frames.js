/**
 * Which picture to show, what to tell the renderer about it, and which input to send: decisions only.
 *
 * Newest wins on both ways.  One picture is being decoded at a time; behind it there is room for one more,
 * and a newer one takes that room.  A skipped picture is acknowledged together with the one shown instead
 * of it, so that a page that is slow in decoding gets fewer frames and not more.
 */

/** @typedef {import("./wire.js").Frame} Frame */
/** @typedef {{frame: Frame, payload: Uint8Array, arrived: number}} Arrival */

export class Frames {
  decoding = /** @type {Arrival | null} */ (null);
  waiting = /** @type {Arrival | null} */ (null);
  skipped = /** @type {number[]} */ ([]);
  newest = 0;

  /** A new connection: frame numbers start again. */
  reset() {
    this.decoding = null;
    this.waiting = null;
    this.skipped = [];
    this.newest = 0;
  }

  /**
   * A picture has come.  Returns the one to decode now, or null.
   * @param {Arrival} arrival
   * @returns {Arrival | null}
   */
  arrive(arrival) {
    if (arrival.frame.frame <= this.newest) {
      this.skipped.push(arrival.frame.frame);
      return null;
    }
    this.newest = arrival.frame.frame;
    if (this.decoding === null) return (this.decoding = arrival);
    if (this.waiting !== null) this.skipped.push(this.waiting.frame.frame);
    this.waiting = arrival;
    return null;
  }

  /**
   * The picture that was being decoded is shown, or turned out to be undecodable.
   * Returns the frames to acknowledge, oldest first, and the next one to decode.
   * @returns {{acks: number[], next: Arrival | null}}
   */
  settle() {
    const acks = [...this.skipped, ...(this.decoding ? [this.decoding.frame.frame] : [])].sort((a, b) => a - b);
    this.skipped = [];
    this.decoding = this.waiting;
    this.waiting = null;
    return { acks, next: this.decoding };
  }
}

/** What says that a picture was shown waits so long for an input that takes it along. */
export const HOLD_MS = 40;

/**
 * One slot with the newest picture that was shown and of which the renderer has not been told.
 */
export class Receipts {
  slot = /** @type {{frame: number, decodeMs: number, at: number} | null} */ (null);

  /** A new connection: frame numbers start again. */
  reset() {
    this.slot = null;
  }

  /** A picture was shown, and with it all before it. @param {number} frame @param {number} decodeMs @param {number} now */
  put(frame, decodeMs, now) {
    if (frame > (this.slot?.frame ?? 0)) this.slot = { frame, decodeMs, at: now };
  }

  /**
   * Takes it out of the slot; null if there is nothing to tell.
   * @param {number} now
   * @returns {{frame: number, decodeMs: number, heldMs: number} | null}
   */
  take(now) {
    if (this.slot === null) return null;
    const { frame, decodeMs, at } = this.slot;
    this.slot = null;
    return { frame, decodeMs, heldMs: now - at };
  }
}

/** Inputs are not sent more often than this; the last one always is. */
export const INPUT_SPACING_MS = 8;
/** While the link has not taken the last input, look again after this. */
export const LINK_RETRY_MS = 10;

/**
 * One slot with the latest state of the viewer.
 * @template State
 */
export class Outbox {
  constructor() {
    this.slot = /** @type {State | null} */ (null);
    this.sequence = 0;
    this.at = -Infinity;
  }

  /** @param {State} state the latest one; what was in the slot is no longer of interest */
  offer(state) {
    this.slot = state;
  }

  /**
   * Milliseconds until something may be sent: 0 is now, null if there is nothing to send.
   * @param {number} now
   * @param {number} unsentBytes what the link has not taken yet
   * @returns {number | null}
   */
  due(now, unsentBytes) {
    if (this.slot === null) return null;
    if (unsentBytes > 0) return LINK_RETRY_MS;
    return Math.max(0, this.at + INPUT_SPACING_MS - now);
  }

  /**
   * Takes the state out of the slot and gives it its number.
   * @param {number} now
   * @returns {State & {sequence: number}}
   */
  take(now) {
    if (this.slot === null) throw new Error("the slot is empty; ask due() first");
    const state = this.slot;
    this.slot = null;
    this.at = now;
    this.sequence += 1;
    return { ...state, sequence: this.sequence };
  }
}
