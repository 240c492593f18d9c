/**
 * Owns the small charts in the table: sees which rows are in sight, asks for their courses, and draws them.
 *
 * One question at a time, at most one a second, for the rows in sight alone; what is known is asked for again when
 * the object has changed, and less often.
 */

import { cssColour } from "./colour.js";
import { drawn, due, HEIGHT, keyOf, KEPT, WIDTH } from "./courses.js";
import { ask } from "./run.js";

/** @typedef {import("./courses.js").Course} Course */
/** @typedef {import("./objects.js").ObjectRow} ObjectRow */

const SPACING_MS = 1000;
/** While a run goes on, what is drawn already is drawn anew so often. */
const ANEW_MS = 4000;
/** After a question that was not answered, the next one waits longer. */
const FAILED_MS = 10_000;
const SVG = "http://www.w3.org/2000/svg";

export class Sparks {
  /** @param {URL} address of the run in the API @param {HTMLElement} box in which the table is moved */
  constructor(address, box) {
    this.address = address;
    this.rows = /** @type {Map<number, ObjectRow>} */ (new Map());
    this.known = /** @type {Map<number, {key: string, course: Course | null}>} */ (new Map());
    this.places = /** @type {Map<number, Element>} */ (new Map());
    this.inSight = /** @type {Set<number>} */ (new Set());
    this.timer = 0;
    this.busy = false;
    this.next = 0;
    this.watch = new IntersectionObserver((seen) => this.seen(seen), { root: box, rootMargin: "60px 0px" });
  }

  /** A row has come. @param {number} id @param {HTMLTableRowElement} row @param {HTMLTableCellElement} cell */
  add(id, row, cell) {
    const chart = document.createElementNS(SVG, "svg");
    chart.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    chart.setAttribute("aria-hidden", "true");
    chart.classList.add("spark");
    cell.append(chart);
    this.places.set(id, chart);
    this.watch.observe(row);
    this.draw(id);
  }

  /** A row has gone. @param {number} id @param {HTMLTableRowElement} row */
  remove(id, row) {
    this.watch.unobserve(row);
    this.places.delete(id);
    this.inSight.delete(id);
  }

  /** How the objects stand now. @param {readonly ObjectRow[]} rows */
  fill(rows) {
    this.rows = new Map(rows.map((row) => [row.id, row]));
    this.look();
  }

  /** @param {IntersectionObserverEntry[]} seen */
  seen(seen) {
    for (const { target, isIntersecting } of seen) {
      const id = Number(/** @type {HTMLElement} */ (target).dataset.id);
      if (isIntersecting && this.places.has(id)) this.inSight.add(id);
      else this.inSight.delete(id);
    }
    this.look();
  }

  look() {
    clearTimeout(this.timer);
    const wanted = due(this.inSight, this.rows, this.known);
    if (this.busy || !wanted.length) return;
    const more = wanted.some((id) => !this.known.has(id)) ? 0 : ANEW_MS - SPACING_MS;
    this.timer = window.setTimeout(() => this.fetch(), Math.max(60, this.next + more - performance.now()));
  }

  async fetch() {
    const wanted = due(this.inSight, this.rows, this.known);
    if (this.busy || !wanted.length) return;
    this.busy = true;
    this.next = performance.now() + SPACING_MS;
    const keys = new Map(wanted.map((id) => [id, keyOf(/** @type {ObjectRow} */ (this.rows.get(id)))]));
    try {
      const asked = new URLSearchParams(wanted.map((id) => ["id", String(id)]));
      const courses = /** @type {Course[]} */ (await ask(new URL(`${this.address.href}/courses?${asked}`)));
      const found = new Map(courses.map((course) => [course.id, course]));
      for (const [id, key] of keys) {
        this.known.delete(id);
        this.known.set(id, { key, course: found.get(id) ?? null });
        this.draw(id);
      }
      for (const id of this.known.keys()) {
        if (this.known.size <= KEPT) break;
        this.known.delete(id);
      }
    } catch {
      // What is wrong with the server, the events say; the numbers in the row say the same as the chart.
      this.next = performance.now() + FAILED_MS;
    }
    this.busy = false;
    this.look();
  }

  /** @param {number} id */
  draw(id) {
    const [chart, course] = [this.places.get(id), this.known.get(id)?.course];
    if (!chart || !course) return;
    const { area, line } = drawn(course);
    chart.replaceChildren(...[["area", area], ["mean", line]].map(([name, d]) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("class", name);
      path.setAttribute("d", d);
      return path;
    }));
    /** @type {SVGElement} */ (chart).style.setProperty("--colour", cssColour(id));
  }
}
