/**
 * Owns what happens between the pointer and the things in the picture: the words beside the pointer, and choosing.
 */

import { cssColour } from "./colour.js";
import { count, firm, inPowers } from "./format.js";
import { PATIENCE_MS, Questions } from "./questions.js";
import { encodeQuestion } from "./wire.js";

/** @typedef {{id: number, voxels: number, first: number, last: number, life: string, voxel: number[], place: string[], variable: string, value: number | null, value_words: string}} Found */

/** A click moves no farther than this, in pixels. */
const STILL_PX = 5;
/** Hovering asks after the pointer has been this long at a place. */
const PAUSE_MS = 40;

export class Hover {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} tip
   * @param {object} on
   * @param {(message: ArrayBuffer) => void} on.ask
   * @param {(id: number | null, besides: boolean) => void} on.choose
   */
  constructor(canvas, tip, on) {
    this.canvas = canvas;
    this.tip = tip;
    this.on = on;
    this.questions = new Questions();
    this.downAt = /** @type {{x: number, y: number} | null} */ (null);
    this.pause = this.again = 0;
    /** A finger has nothing to hover with: what it touches is named as well as chosen. */
    this.touched = false;
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("wheel", () => this.leave(), { passive: true });
    canvas.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || event.altKey) return;
      this.ask({ x: 0.5, y: 0.5, why: event.shiftKey ? "add" : "choose" });
    });
  }

  /** @param {MouseEvent} event */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (event.buttons || event.pointerType === "touch") {
      this.leave();
      return;
    }
    const place = this.place(event);
    this.put(event);
    clearTimeout(this.pause);
    this.pause = window.setTimeout(() => this.ask({ ...place, why: "hover" }), PAUSE_MS);
  }

  leave() {
    clearTimeout(this.pause);
    this.questions.forget();
    this.tip.hidden = true;
    this.canvas.classList.remove("over");
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.pointerType === "touch") this.leave();
    this.downAt = event.button === 0 && event.isPrimary ? { x: event.clientX, y: event.clientY } : null;
  }

  /** @param {PointerEvent} event */
  up(event) {
    const from = this.downAt;
    this.downAt = null;
    if (!from || Math.hypot(event.clientX - from.x, event.clientY - from.y) > STILL_PX) return;
    this.touched = event.pointerType === "touch";
    if (this.touched) this.put(event);
    this.ask({ ...this.place(event), why: event.shiftKey || event.ctrlKey || event.metaKey ? "add" : "choose" });
  }

  /** A new line: what was asked on the old one is asked again when there is a picture to point into. */
  opened() {
    clearTimeout(this.again);
    this.questions.reset();
  }

  /** @param {import("./questions.js").Question} question */
  ask(question) {
    this.questions.ask(question);
    this.pump();
  }

  pump() {
    clearTimeout(this.again);
    const due = this.questions.due(performance.now());
    if (due) this.on.ask(encodeQuestion(due.number, due.x, due.y));
    else if (this.questions.waiting) this.again = window.setTimeout(() => this.pump(), PATIENCE_MS);
  }

  /** @param {number} number @param {Found | null} found */
  answered(number, found) {
    const asked = this.questions.answered(number);
    this.tip.dataset.answered = String(number);
    if (asked?.why === "hover") this.show(found);
    else if (asked) {
      this.on.choose(found ? found.id : null, asked.why === "add");
      if (this.touched) this.show(found);
    }
    this.pump();
  }

  /** @param {Found | null} found */
  show(found) {
    this.tip.hidden = !found;
    this.canvas.classList.toggle("over", found !== null);
    if (!found) return;
    const line = (/** @type {string} */ name, /** @type {string} */ text) => {
      const element = document.createElement(name);
      element.textContent = text;
      return element;
    };
    const head = line("strong", `Object ${count(found.id)}`);
    const mark = document.createElement("i");
    mark.className = "swatch";
    mark.style.setProperty("--colour", cssColour(found.id));
    head.prepend(mark);
    const rows = [found.value_words ? `${found.variable} ${inPowers(found.value_words)}` : "", found.place.join(" · "), found.life];
    this.tip.replaceChildren(head, ...rows.filter(Boolean).map((text) => line("span", firm(text))));
    this.settle();
  }

  /** The words stand beside the pointer, inside the picture. @param {PointerEvent} event */
  put(event) {
    const { x, y } = this.place(event);
    this.at = { x: x * this.canvas.clientWidth, y: y * this.canvas.clientHeight };
    this.settle();
  }

  settle() {
    if (!this.at || this.tip.hidden) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { offsetWidth: w, offsetHeight: h } = this.tip;
    const left = this.at.x + 16 + w > width ? this.at.x - 12 - w : this.at.x + 16;
    const top = this.at.y + 18 + h > height ? this.at.y - 10 - h : this.at.y + 18;
    this.tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }
}
