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
