/**
 * Owns the canvas on which the states of the chunks are drawn; where they stand is decided in chunks.js.
 */

import { cellAt, corner, FAILED, layout, middleOf, stateAt } from "./chunks.js";

const TALLEST = 132;
const NAMES = ["pending", "leased", "done", "failed"];

export class ChunkStrip {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(shares: [number, number, number]) => void} go somebody wants to look there: shares of the volume (z, y, x)
   */
  constructor(canvas, go = () => {}) {
    this.canvas = canvas;
    this.go = go;
    this.cursor = /** @type {{slab: number, y: number, x: number} | null} */ (null);
    this.strip = /** @type {import("./chunks.js").Strip | null} */ (null);
    const box = /** @type {HTMLElement} */ (canvas.parentElement);
    canvas.addEventListener("click", (event) => {
      if (this.strip) this.goTo(cellAt(this.strip, this.counts, event.offsetX, event.offsetY, this.descending));
    });
    box.addEventListener("keydown", (event) => this.key(event));
    box.addEventListener("blur", () => {
      this.cursor = null;
      this.draw();
    });
    this.counts = [1, 1, 1];
    this.states = /** @type {number[]} */ ([]);
    this.descending = false;
    new ResizeObserver(() => this.draw()).observe(/** @type {Element} */ (canvas.parentElement));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** @param {{counts: number[], states: number[]}} chunks */
  fill({ counts, states }) {
    this.counts = counts;
    this.states = states;
    this.draw();
  }

  /** How the middle axis runs. @param {boolean} descending */
  turn(descending) {
    if (this.descending === descending) return;
    this.descending = descending;
    this.draw();
  }

  /** @param {string} words */
  say(words) {
    if (this.canvas.getAttribute("aria-label") !== words) this.canvas.setAttribute("aria-label", words);
  }

  /** @param {{slab: number, y: number, x: number} | null} cell */
  goTo(cell) {
    if (cell && this.strip) this.go(middleOf(this.strip, this.counts, cell));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const strip = this.strip;
    if (!strip || event.ctrlKey || event.metaKey || event.altKey) return;
    const { slab, y, x } = this.cursor ?? { slab: 0, y: 0, x: 0 };
    const [, ny, nx] = this.counts;
    const up = this.descending ? -1 : 1;
    if (event.key === "Enter" || event.key === " ") this.goTo({ slab, y, x });
    else if (event.key === "ArrowLeft") this.cursor = x > 0 ? { slab, y, x: x - 1 } : { slab: Math.max(0, slab - 1), y, x: slab > 0 ? nx - 1 : 0 };
    else if (event.key === "ArrowRight") this.cursor = x < nx - 1 ? { slab, y, x: x + 1 } : { slab: Math.min(strip.slabs - 1, slab + 1), y, x: slab < strip.slabs - 1 ? 0 : x };
    else if (event.key === "ArrowUp") this.cursor = { slab, y: Math.min(ny - 1, Math.max(0, y + up)), x };
    else if (event.key === "ArrowDown") this.cursor = { slab, y: Math.min(ny - 1, Math.max(0, y - up)), x };
    else return;
    event.preventDefault();
    this.draw();
  }

  draw() {
    const { canvas, counts, states } = this;
    const width = /** @type {Element} */ (canvas.parentElement).clientWidth;
    if (!width || !states.length) return;
    const strip = layout(counts, width, TALLEST);
    this.strip = strip;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(strip.height * ratio);
    canvas.style.height = `${strip.height}px`;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const style = getComputedStyle(canvas);
    const colours = NAMES.map((name) => style.getPropertyValue(`--chunk-${name}`).trim());
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const side = strip.cell > 4 ? strip.cell - 1.5 : strip.cell > 2 ? strip.cell - 0.5 : strip.cell;
    for (let slab = 0; slab < strip.slabs; slab += 1) {
      for (let y = 0; y < counts[1]; y += 1) {
        for (let x = 0; x < counts[2]; x += 1) {
          const state = stateAt(states, counts, strip, slab, y, x);
          const { left, top } = corner(strip, counts, slab, y, x, this.descending);
          pen.fillStyle = colours[state];
          pen.beginPath();
          pen.roundRect(left, top, side, side, side > 5 ? 2 : 0);
          pen.fill();
          if (state === FAILED && side > 5) cross(pen, left, top, side);
          if (this.cursor && this.cursor.slab === slab && this.cursor.y === y && this.cursor.x === x) {
            pen.strokeStyle = style.getPropertyValue("--text");
            pen.lineWidth = 2;
            pen.strokeRect(left + 1, top + 1, Math.max(1, side - 2), Math.max(1, side - 2));
          }
        }
      }
    }
  }
}

/** A failed chunk is told by its shape too, not by colour alone. */
/** @param {CanvasRenderingContext2D} pen @param {number} left @param {number} top @param {number} side */
function cross(pen, left, top, side) {
  const inset = side * 0.28;
  pen.strokeStyle = "#fff";
  pen.lineWidth = 1.3;
  pen.beginPath();
  pen.moveTo(left + inset, top + inset);
  pen.lineTo(left + side - inset, top + side - inset);
  pen.moveTo(left + side - inset, top + inset);
  pen.lineTo(left + inset, top + side - inset);
  pen.stroke();
}
