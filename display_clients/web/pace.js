/**
 * How often to ask for something that changes while a run goes on.
 *
 * A question is asked when the key that describes its answer has changed, and at most once per interval;
 * the last change is never left out.  Pure: the caller passes the time and keeps the timer.
 */

export class Pace {
  /** @param {number} intervalMs */
  constructor(intervalMs) {
    this.intervalMs = intervalMs;
    this.asked = /** @type {string | null} */ (null);
    this.at = -Infinity;
  }

  /**
   * Milliseconds until the question for `key` is due: 0 is now, null is never (it was asked already).
   * @param {string} key
   * @param {number} now
   * @returns {number | null}
   */
  due(key, now) {
    if (key === this.asked) return null;
    return Math.max(0, this.at + this.intervalMs - now);
  }

  /**
   * The question was asked.
   * @param {string} key
   * @param {number} now
   */
  done(key, now) {
    this.asked = key;
    this.at = now;
  }

  /** The answer did not come: the same question may be asked again after the interval. */
  failed() {
    this.asked = null;
  }
}
