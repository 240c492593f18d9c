/**
 * Owns the table of objects in the page; what stands in it and in which order is decided in objects.js.
 *
 * Rows are kept and moved rather than made anew, so that a selection or a scrolled position survives news.
 */

import { cssColour } from "./colour.js";
import { caption, clicked, columns, details, LARGEST_FIRST, sorted } from "./objects.js";

/** @typedef {import("./objects.js").ObjectRow} ObjectRow */
/** @typedef {import("./words.js").Run} Run */

export class ObjectsTable {
  /** @param {HTMLTableElement} table @param {HTMLElement} caption where to say how many there are */
  constructor(table, caption) {
    this.table = table;
    this.caption = caption;
    this.head = table.createTHead().insertRow();
    this.body = table.createTBody();
    this.order = LARGEST_FIRST;
    this.columns = /** @type {import("./objects.js").Column[]} */ ([]);
    this.rows = /** @type {ObjectRow[]} */ ([]);
    this.kept = /** @type {Map<number, HTMLTableRowElement>} */ (new Map());
    this.run = /** @type {Run | null} */ (null);
  }

  /** The columns depend on the run, which is known before its objects. @param {Run} run */
  describe(run) {
    const made = columns(run);
    const same = made.map((c) => c.label + c.unit).join() === this.columns.map((c) => c.label + c.unit).join();
    this.run = run;
    if (same) return;
    this.columns = made;
    this.kept.clear();
    this.head.replaceChildren(...made.map((column) => this.header(column)));
    this.draw();
  }

  /** @param {import("./objects.js").Column} column */
  header(column) {
    const cell = document.createElement("th");
    const button = document.createElement("button");
    const label = document.createElement("span");
    cell.scope = "col";
    cell.dataset.key = column.key;
    button.type = "button";
    button.title = column.hint;
    label.textContent = column.label;
    button.append(label);
    if (column.unit) {
      const unit = document.createElement("small");
      unit.textContent = column.unit;
      button.append(unit);
    }
    button.addEventListener("click", () => {
      this.order = clicked(this.order, column.key);
      this.draw();
    });
    cell.append(button);
    return cell;
  }

  /** @param {{total: number, objects: ObjectRow[]}} page */
  fill(page) {
    this.rows = page.objects;
    this.caption.textContent = caption(page.objects.length, page.total);
    this.draw();
  }

  draw() {
    if (!this.run) return;
    for (const cell of this.head.cells) {
      const mine = cell.dataset.key === this.order.key;
      cell.ariaSort = mine ? (this.order.descending ? "descending" : "ascending") : "none";
    }
    const wanted = sorted(this.rows, this.columns, this.order);
    const here = new Set(wanted.map((row) => row.id));
    for (const [id, element] of this.kept) {
      if (here.has(id)) continue;
      element.remove();
      this.kept.delete(id);
    }
    wanted.forEach((row, i) => {
      const element = this.element(row);
      if (this.body.rows[i] !== element) this.body.insertBefore(element, this.body.rows[i] ?? null);
    });
    this.table.classList.toggle("empty", wanted.length === 0);
  }

  /** @param {ObjectRow} row */
  element(row) {
    let element = this.kept.get(row.id);
    if (!element) {
      element = document.createElement("tr");
      element.dataset.id = String(row.id);
      for (const column of this.columns) {
        const cell = element.insertCell();
        if (column.key === "id") cell.append(swatch(row.id), document.createElement("span"));
      }
      this.kept.set(row.id, element);
    }
    element.title = details(row, /** @type {Run} */ (this.run));
    element.classList.toggle("growing", !row.final);
    this.columns.forEach((column, i) => {
      const cell = /** @type {HTMLTableRowElement} */ (element).cells[i];
      const place = column.key === "id" ? /** @type {HTMLElement} */ (cell.lastChild) : cell;
      const text = column.text(row);
      if (place.textContent !== text) place.textContent = text;
      // An object may step aside from a neighbour's hue while the run goes on.
      if (place !== cell) /** @type {HTMLElement} */ (cell.firstChild).style.setProperty("--colour", cssColour(row.id));
    });
    return element;
  }
}

/** @param {number} id */
function swatch(id) {
  const mark = document.createElement("i");
  mark.className = "swatch";
  mark.style.setProperty("--colour", cssColour(id));
  return mark;
}
