/**
 * Owns the canvas of the transfer function: the histogram, the colours, and points that one drags, adds and removes.
 */

import { added, moved, pointAt, removed, shown } from "./transfer.js";

/** @typedef {import("./transfer.js").Point} Point */

const INSET = 8, BAR = 10, REACH = 12;

export class TransferEditor {
  /** @param {HTMLCanvasElement} canvas @param {(points: Point[]) => void} change */
  constructor(canvas, change) {
    this.canvas = canvas;
    this.change = change;
    this.points = shown([]);
    this.histogram = /** @type {number[]} */ ([]);
    this.colours = /** @type {string[]} */ ([]);
    this.held = -1;
    this.active = 0;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.held >= 0 && this.set(moved(this.points, this.held, this.place(event))));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.held = -1));
    canvas.addEventListener("dblclick", (event) => this.drop(pointAt(this.points, this.place(event), ...this.reach())));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const news of ["focus", "blur"]) canvas.addEventListener(news, () => this.draw());
  }

  /** @param {Point[]} points @param {number[]} histogram @param {string[]} colours */
  show(points, histogram, colours) {
    this.points = shown(points);
    this.histogram = histogram;
    this.colours = colours;
    this.active = Math.min(this.active, this.points.length - 1);
    this.draw();
  }

  /** Room for the curve in CSS pixels. */
  room() {
    return { width: Math.max(1, this.canvas.clientWidth - 2 * INSET), height: Math.max(1, this.canvas.clientHeight - 2 * INSET - BAR) };
  }

  /** @returns {[number, number]} */
  reach() {
    const { width, height } = this.room();
    return [REACH / width, REACH / height];
  }

  /** @param {MouseEvent} event @returns {Point} */
  place(event) {
    const { width, height } = this.room();
    return [(event.offsetX - INSET) / width, 1 - (event.offsetY - INSET) / height];
  }

  /** @param {Point[]} points */
  set(points) {
    this.points = points;
    this.draw();
    this.change(points);
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.place(event);
    this.held = pointAt(this.points, at, ...this.reach());
    if (this.held < 0) {
      const { points, place } = added(this.points, at);
      this.held = place;
      if (place >= 0) this.set(points);
    }
    this.active = Math.max(0, this.held);
    this.draw();
  }

  /** @param {number} place */
  drop(place) {
    if (place < 0) return;
    this.held = -1;
    this.active = Math.max(0, place - 1);
    this.set(removed(this.points, place));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const [x, y] = this.points[this.active];
    const ways = /** @type {Record<string, Point>} */ ({ ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, 0.04], ArrowDown: [0, -0.04] });
    const way = ways[event.key];
    if (way) this.set(moved(this.points, this.active, [x + way[0], y + way[1]]));
    else if (event.key === "PageDown") this.active = Math.min(this.points.length - 1, this.active + 1);
    else if (event.key === "PageUp") this.active = Math.max(0, this.active - 1);
    else if (event.key === "Delete" || event.key === "Backspace") this.drop(this.active);
    else if (event.key === "Insert" || event.key === "+") {
      const [nx, ny] = this.points[this.active + 1] ?? this.points[this.active - 1];
      const { points, place } = added(this.points, [(x + nx) / 2, (y + ny) / 2]);
      if (place >= 0) this.active = place;
      this.set(points);
    } else return;
    event.preventDefault();
    this.draw();
  }

  draw() {
    const { canvas, points } = this;
    if (!canvas.clientWidth) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * ratio);
    canvas.height = Math.round(canvas.clientHeight * ratio);
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const { width, height } = this.room();
    pen.setTransform(ratio, 0, 0, ratio, INSET * ratio, INSET * ratio);
    pen.fillStyle = "#5d7190";
    const bar = width / Math.max(1, this.histogram.length);
    // Few values are most of a field, so that bars are as high as the root of what they count.
    this.histogram.forEach((n, i) => {
      const h = Math.sqrt(n / 100) * height;
      pen.fillRect(i * bar, height - h, Math.max(1, bar - 1), h);
    });
    const colours = pen.createLinearGradient(0, 0, width, 0);
    this.colours.forEach((colour, i) => colours.addColorStop(i / Math.max(1, this.colours.length - 1), colour));
    pen.fillStyle = colours;
    pen.fillRect(0, height + 4, width, BAR - 2);
    pen.strokeStyle = "#e8eef7";
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(0, (1 - points[0][1]) * height);
    for (const [x, y] of points) pen.lineTo(x * width, (1 - y) * height);
    pen.lineTo(width, (1 - points[points.length - 1][1]) * height);
    pen.stroke();
    const focused = document.activeElement === canvas;
    points.forEach(([x, y], i) => {
      pen.beginPath();
      pen.arc(x * width, (1 - y) * height, focused && i === this.active ? 7 : 5, 0, 2 * Math.PI);
      pen.fillStyle = focused && i === this.active ? "#f0b34a" : "#6cc4f0";
      pen.fill();
      pen.stroke();
    });
  }
}
