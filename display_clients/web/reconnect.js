/**
 * When to try again after a connection was lost, and when not to.
 *
 * The wait doubles from half a second to eight, with jitter so that a hundred pages do not come back in one
 * instant.  A connection that lived for a while counts as a success and starts the series anew.
 */

export const FIRST_S = 0.5;
export const LONGEST_S = 8;
/** A connection that ends sooner than this counts as another failure. */
export const STEADY_S = 5;

/** Close codes after which another attempt would be answered the same. */
const FINAL = new Set([4400, 4401, 4403, 4404, 4410]);
const RENDERER_GONE = 4503;
/** The token of the seat was not taken: without it one may come. */
export const NO_SEAT = 4403;

/**
 * Seconds to wait before attempt number `attempt` (0 is the first one after the loss).
 * @param {number} attempt
 * @param {number} random from 0 up to 1
 */
export function waitSeconds(attempt, random) {
  const full = Math.min(LONGEST_S, FIRST_S * 2 ** Math.min(attempt, 16));
  return full * (0.75 + 0.25 * random);
}

/**
 * The number of the attempt that follows a loss.
 * @param {number | null} last the number of the attempt that led to the lost connection; null for the very first
 * @param {number} stoodS how long that connection stood, 0 if it never did
 * @returns {number}
 */
export function attemptAfter(last, stoodS) {
  return last === null || stoodS >= STEADY_S ? 0 : last + 1;
}

/**
 * Whether it is of any use to try again.
 * @param {number} code the WebSocket's close code
 */
export function worthTrying(code) {
  return !FINAL.has(code);
}

/**
 * Why the connection ended, for people; without a full stop.
 * @param {number} code the WebSocket's close code
 * @param {string} reason what the server said
 * @param {boolean} stood whether it was open before
 */
export function reasonOf(code, reason, stood) {
  if (code === RENDERER_GONE) return "The renderer has gone";
  return reason || (stood ? "The connection was lost" : "The renderer does not answer");
}

/** Silence after which the renderer is asked whether it is there. */
export const BEAT_S = 20;
/** It has so long to answer, and so long when the laptop has just woken up, where the line is likely to be dead. */
export const ANSWER_S = 10;
export const ANSWER_AWAKE_S = 3;
/** A connection on which nothing was ever heard is given up after so long: a renderer that starts takes less. */
export const FIRST_WORD_S = 60;

/** Whether the other end of a connection is still there.  Times in seconds, on a clock that never goes back. */
export class Pulse {
  constructor() {
    this.heardAt = /** @type {number | null} */ (null);
    this.deadAt = /** @type {number | null} */ (null);
    this.openedAt = 0;
  }

  /** A new connection.  Before anything was heard nobody is asked: the run may wait for its renderer. @param {number} now */
  reset(now) {
    this.openedAt = now;
    this.heardAt = null;
    this.deadAt = null;
  }

  /** @param {number} now */
  heard(now) {
    this.heardAt = now;
    this.deadAt = null;
  }

  /**
   * What is to be done: ask, or take the connection for dead.
   * @param {number} now
   * @param {boolean} awake the laptop or the page has just woken up
   * @returns {"ask" | "dead" | null}
   */
  look(now, awake = false) {
    if (this.heardAt === null) return now >= this.openedAt + (awake ? ANSWER_S : FIRST_WORD_S) ? "dead" : null;
    if (this.deadAt !== null && now >= this.deadAt) return "dead";
    const soon = now + ANSWER_AWAKE_S;
    if (awake && (this.deadAt === null || this.deadAt > soon)) {
      this.deadAt = soon;
      return "ask";
    }
    if (this.deadAt !== null || now < this.heardAt + BEAT_S) return null;
    this.deadAt = now + ANSWER_S;
    return "ask";
  }
}
