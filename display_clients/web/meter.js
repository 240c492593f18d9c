/**
 * What the stream really delivers: frames per second, input to picture, bytes.
 *
 * The latency of an input is the time from the event that caused it to the first picture that shows it or a
 * later one.  The rate counts the pictures of the last two seconds, and is null when the picture is at rest.
 * What was slow a while ago is not slow now: after that long nothing is said of it.
 */

const WINDOW_MS = 2000;
/** Latencies are told of the last so many inputs, none older than that. */
const KEPT = 31, RECENT_MS = 10_000;

/** @typedef {{ms: number, renderMs: number, at: number}} Answered an input: how long it took, and how much of it was drawing */

export class Meter {
  constructor() {
    this.bytes = 0;
    this.frames = 0;
    this.shownAt = /** @type {number[]} */ ([]);
    this.sent = /** @type {{sequence: number, at: number}[]} */ ([]);
    this.answered = /** @type {Answered[]} */ ([]);
  }

  /** @param {number} bytes of a message that came */
  received(bytes) {
    this.bytes += bytes;
  }

  /**
   * An input went up that was caused by an event at `at`.
   * @param {number} sequence
   * @param {number} at
   */
  input(sequence, at) {
    this.sent.push({ sequence, at });
    if (this.sent.length > 512) this.sent.shift();
  }

  /** The connection is new: what was not answered never will be. */
  forget() {
    this.sent = [];
  }

  /**
   * A picture is on the page that shows all inputs up to `input`.
   * @param {number} input
   * @param {number} now
   * @param {number} [renderMs] that it took to draw
   */
  shown(input, now, renderMs = 0) {
    this.frames += 1;
    this.shownAt.push(now);
    while (this.shownAt.length && this.shownAt[0] <= now - WINDOW_MS) this.shownAt.shift();
    let newest = /** @type {number | null} */ (null);
    while (this.sent.length && this.sent[0].sequence <= input) {
      newest = now - /** @type {{at: number}} */ (this.sent.shift()).at;
    }
    if (newest === null) return;
    this.answered.push({ ms: newest, renderMs, at: now });
    if (this.answered.length > KEPT) this.answered.shift();
  }

  /**
   * Pictures per second, or null at rest.
   * @param {number} now
   * @returns {number | null}
   */
  rate(now) {
    const recent = this.shownAt.filter((at) => at > now - WINDOW_MS);
    if (recent.length < 3) return null;
    const span = recent[recent.length - 1] - recent[0];
    return span > 0 ? ((recent.length - 1) * 1000) / span : null;
  }

  /** Of the last inputs the one with the median latency, or null if nothing was done lately. @param {number} now @returns {Answered | null} */
  latency(now) {
    const sorted = this.answered.filter(({ at }) => at > now - RECENT_MS).sort((a, b) => a.ms - b.ms);
    return sorted[sorted.length >> 1] ?? null;
  }
}
