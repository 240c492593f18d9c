/**
 * What the page asks about places in its picture: one question is on its way, one waits, and the latest wins.  Pure.
 *
 * A click is not pushed aside by the hovering that follows it.
 */

/** @typedef {{x: number, y: number, why: "hover" | "choose" | "add"}} Question x, y: share of the picture, from its upper left corner */

/** A question that has not been answered for so long never will be. */
export const PATIENCE_MS = 1500;

export class Questions {
  constructor() {
    this.number = 0;
    this.waiting = /** @type {Question | null} */ (null);
    this.asked = /** @type {(Question & {number: number, at: number}) | null} */ (null);
  }

  /** @param {Question} question */
  ask(question) {
    if (question.why === "hover" && this.waiting && this.waiting.why !== "hover") return;
    this.waiting = question;
  }

  /** The pointer has left the picture, or something is being dragged: hovering is over. */
  forget() {
    if (this.waiting?.why === "hover") this.waiting = null;
    if (this.asked?.why === "hover") this.asked = { ...this.asked, at: -Infinity };
  }

  /** A new line: nothing that was asked on the old one is answered. */
  reset() {
    this.asked = null;
  }

  /** The question to send now, or null. @param {number} now */
  due(now) {
    if (!this.waiting || (this.asked && now - this.asked.at < PATIENCE_MS)) return null;
    this.number += 1;
    this.asked = { ...this.waiting, number: this.number, at: now };
    this.waiting = null;
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
