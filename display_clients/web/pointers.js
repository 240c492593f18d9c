/**
 * Owns the arrows over the picture that show where others point, and says where one's own pointer is.
 *
 * Both are state: the newest place is sent at most twenty times a second and never while the line is behind, and what
 * others say is drawn with the page's next frame, after which the renderer may send more.
 */

import { colourOf, inHeights, inPicture } from "./people.js";
import { encodeDrawn, encodePointer } from "./wire.js";

const EVERY_MS = 50;
/** A pointer that has not moved for so long is not shown any more. */
const OLD_MS = 8000;
const ARROW = "M1 1l5.2 13.4 2.2-5.4 5.6-2z";
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {{n: number, x: number, y: number}} Spot */

export class Pointers {
  /**
   * @param {HTMLElement} layer over the picture
   * @param {HTMLCanvasElement} canvas
   * @param {import("./socket.js").Socket} socket
   * @param {(n: number) => string} name of a person
   */
  constructor(layer, canvas, socket, name) {
    this.layer = layer;
    this.canvas = canvas;
    this.socket = socket;
    this.name = name;
    this.spots = /** @type {Spot[]} */ ([]);
    this.arrows = /** @type {Map<number, {element: HTMLElement, at: string, since: number}>} */ (new Map());
    this.company = false;
    this.place = /** @type {[number, number] | null} */ (null);
    this.sent = /** @type {string} */ ("null");
    this.sentAt = -Infinity;
    this.timer = this.drawing = 0;
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => this.say(null));
    canvas.addEventListener("pointerup", (event) => event.pointerType === "touch" && this.say(null));
    canvas.addEventListener("pointercancel", () => this.say(null));
    new ResizeObserver(() => this.draw()).observe(canvas);
    window.setInterval(() => this.arrows.size && this.draw(), 1000);
  }

  /** A new line: nobody there knows where we point. */
  opened() {
    this.sent = "null";
    this.spots = [];
    this.draw();
    this.pump();
  }

  /** Whether anybody sees what we see. @param {boolean} company */
  accompany(company) {
    this.company = company;
    if (!company) this.spots = [];
    this.draw();
    this.pump();
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    this.say(inHeights({ x: event.clientX - left, y: event.clientY - top }, this.box()));
  }

  box() {
    return { width: Math.max(1, this.canvas.clientWidth), height: Math.max(1, this.canvas.clientHeight) };
  }

  /** @param {[number, number] | null} place */
  say(place) {
    this.place = place;
    this.pump();
  }

  pump() {
    clearTimeout(this.timer);
    if (!this.company || JSON.stringify(this.place) === this.sent) return;
    const wait = this.sentAt + EVERY_MS - performance.now();
    if (wait <= 0 && this.socket.idle(encodePointer(this.place))) {
      this.sent = JSON.stringify(this.place);
      this.sentAt = performance.now();
    } else if (this.socket.ws) this.timer = window.setTimeout(() => this.pump(), Math.max(wait, 10));
  }

  /** Where the others point now. @param {Spot[]} spots */
  receive(spots) {
    this.spots = spots;
    cancelAnimationFrame(this.drawing);
    this.drawing = requestAnimationFrame(() => {
      this.draw();
      this.socket.post(encodeDrawn());
    });
  }

  draw() {
    const now = performance.now();
    const shown = new Set();
    for (const spot of this.spots) {
      const place = inPicture(spot, this.box());
      const arrow = this.arrows.get(spot.n) ?? this.made(spot.n);
      const at = `${spot.x} ${spot.y}`;
      if (arrow.at !== at) Object.assign(arrow, { at, since: now });
      arrow.element.hidden = place === null || now - arrow.since > OLD_MS;
      if (place) arrow.element.style.transform = `translate(${place.x}px, ${place.y}px)`;
      const label = /** @type {HTMLElement} */ (arrow.element.lastElementChild);
      if (label.textContent !== this.name(spot.n)) label.textContent = this.name(spot.n);
      arrow.element.classList.toggle("left", place !== null && place.x > this.box().width - 130);
      shown.add(spot.n);
    }
    for (const [n, { element }] of this.arrows) {
      if (shown.has(n)) continue;
      element.remove();
      this.arrows.delete(n);
    }
  }

  /** @param {number} n */
  made(n) {
    const element = document.createElement("div");
    const arrow = document.createElementNS(SVG, "svg");
    arrow.setAttribute("viewBox", "0 0 15 16");
    arrow.append(document.createElementNS(SVG, "path"));
    arrow.children[0].setAttribute("d", ARROW);
    element.append(arrow, document.createElement("span"));
    element.style.setProperty("--colour", colourOf(n));
    element.dataset.n = String(n);
    this.layer.append(element);
    const made = { element, at: "", since: 0 };
    this.arrows.set(n, made);
    return made;
  }
}
