/**
 * What the page asks about places in its picture: one question is on its way at a time.  Pure.
 *
 * Of hovering the latest place wins, and an answer that is slow to come is not waited for.  A click is never dropped: it
 * waits for those before it, its answer is waited for longer, and over a new line it is asked again.
 */

/** @typedef {{x: number, y: number, why: "hover" | "choose" | "add"}} Question x, y: share of the picture, from its upper left corner */

/** Hovering that has not been answered for so long never will be; nor a click, after so long. */
export const PATIENCE_MS = 1500;
export const CLICK_MS = 20_000;
/** Of clicks that nobody answers so many are kept. */
export const MOST_CLICKS = 32;

export class Questions {
  constructor() {
    this.number = 0;
    this.hovering = /** @type {Question | null} */ (null);
    this.clicks = /** @type {Question[]} */ ([]);
    this.asked = /** @type {(Question & {number: number, at: number}) | null} */ (null);
  }

  /** Whether anything is still to be asked. */
  get waiting() {
    return this.clicks.length > 0 || this.hovering !== null;
  }

  /** @param {Question} question */
  ask(question) {
    if (question.why === "hover") this.hovering = question;
    else this.clicks = [...this.clicks, question].slice(-MOST_CLICKS);
  }

  /** The pointer has left the picture, or something is being dragged: hovering is over. */
  forget() {
    this.hovering = null;
    if (this.asked?.why === "hover") this.asked = { ...this.asked, at: -Infinity };
  }

  /** A new line: nothing that was asked on the old one is answered, and a click is asked again. */
  reset() {
    const { asked } = this;
    this.asked = null;
    if (asked && asked.why !== "hover") this.clicks.unshift({ x: asked.x, y: asked.y, why: asked.why });
  }

  /** The question to send now, or null. @param {number} now */
  due(now) {
    const next = this.clicks[0] ?? this.hovering;
    if (!next) return null;
    if (this.asked && now - this.asked.at < (this.asked.why === "hover" ? PATIENCE_MS : CLICK_MS)) return null;
    if (next === this.hovering) this.hovering = null;
    else this.clicks.shift();
    this.number += 1;
    this.asked = { ...next, number: this.number, at: now };
    return this.asked;
  }

  /** The question that an answer belongs to; null if nobody wants to know any more. @param {number} number @returns {Question | null} */
  answered(number) {
    const asked = this.asked;
    if (!asked || asked.number !== number) return null;
    this.asked = null;
    return asked.at === -Infinity ? null : asked;
  }
}
