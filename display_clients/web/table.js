/**
 * Owns the table of objects in the page; what stands in it and in which order is decided in objects.js.
 *
 * Rows are kept and moved rather than made anew, so that a selection or a scrolled position survives news.
 */

import { cssColour } from "./colour.js";
import { caption, clicked, columns, details, LARGEST_FIRST, matches, MOST_ROWS, needsAll, sorted } from "./objects.js";

/** @typedef {import("./objects.js").ObjectRow} ObjectRow */
/** @typedef {import("./words.js").Run} Run */

export class ObjectsTable {
  /**
   * @param {HTMLTableElement} table
   * @param {HTMLElement} caption where to say how many there are
   * @param {(id: number, besides: boolean) => void} choose somebody has chosen an object
   * @param {import("./sparks.js").Sparks} sparks the small charts behind the mean
   * @param {(all: boolean) => void} [wants] whether the largest objects do, or all are wanted
   */
  constructor(table, caption, choose, sparks, wants = () => {}) {
    this.wants = wants;
    this.sparks = sparks;
    this.choose = choose;
    this.query = "";
    this.total = 0;
    this.selected = /** @type {Set<number>} */ (new Set());
    this.sought = /** @type {number | null} */ (null);
    this.table = table;
    if (table.parentElement) new ResizeObserver(() => this.reveal()).observe(table.parentElement);
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
    for (const id of this.kept.keys()) this.forget(id);
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
      button.append(" ", unit);
    }
    button.addEventListener("click", () => {
      this.order = clicked(this.order, column.key);
      this.draw();
      this.wants(needsAll(this.order, this.query));
    });
    cell.append(button);
    return cell;
  }

  /** @param {{total: number, objects: ObjectRow[]}} page */
  fill(page) {
    this.rows = page.objects;
    this.total = page.total;
    const there = this.kept.has(this.sought ?? NaN);
    this.draw();
    this.sparks.fill(this.rows);
    if (!there) this.reveal();
  }

  /** Only what somebody looks for. @param {string} query */
  search(query) {
    this.query = query;
    this.draw();
    this.wants(needsAll(this.order, this.query));
  }

  /** These are marked; the first that was not before comes into sight. @param {readonly number[]} ids */
  mark(ids) {
    const fresh = ids.find((id) => !this.selected.has(id));
    this.selected = new Set(ids);
    this.draw();
    if (fresh !== undefined || !this.selected.has(this.sought ?? NaN)) this.sought = fresh ?? null;
    this.reveal();
  }

  /** Brings the object that was marked last into sight, also when its row comes later or the table gets smaller. */
  reveal() {
    const [row, box] = [this.kept.get(this.sought ?? NaN), this.table.parentElement];
    if (!row || !box) return;
    // The table is moved, not the page, and only as far as it has to be.
    const head = this.head.offsetHeight;
    if (row.offsetTop - head < box.scrollTop) box.scrollTop = row.offsetTop - head;
    else if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
    }
  }

  draw() {
    if (!this.run) return;
    for (const cell of this.head.cells) {
      const mine = cell.dataset.key === this.order.key;
      cell.ariaSort = mine ? (this.order.descending ? "descending" : "ascending") : "none";
    }
    const run = this.run;
    const found = this.query ? this.rows.filter((row) => matches(row, this.columns, run, this.query)) : this.rows;
    const wanted = sorted(found, this.columns, this.order).slice(0, MOST_ROWS);
    const words = caption(this.rows.length, this.total, found.length, this.order.key === LARGEST_FIRST.key && this.order.descending);
    if (this.caption.textContent !== words) this.caption.textContent = words;
    const here = new Set(wanted.map((row) => row.id));
    for (const id of this.kept.keys()) if (!here.has(id)) this.forget(id);
    wanted.forEach((row, i) => {
      const element = this.element(row);
      if (this.body.rows[i] !== element) this.body.insertBefore(element, this.body.rows[i] ?? null);
    });
    this.table.classList.toggle("empty", wanted.length === 0);
  }

  /** A row has gone. @param {number} id */
  forget(id) {
    const row = this.kept.get(id);
    if (!row) return;
    this.sparks.remove(id, row);
    row.remove();
    this.kept.delete(id);
  }

  /** A row is chosen by its first cell, for those who use keys. @param {number} id */
  button(id) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "choose";
    button.title = "Mark it in the picture (with shift: besides others)";
    button.append(swatch(id), document.createElement("span"));
    return button;
  }

  /** @param {ObjectRow} row */
  element(row) {
    let element = this.kept.get(row.id);
    if (!element) {
      element = document.createElement("tr");
      element.dataset.id = String(row.id);
      for (const column of this.columns) {
        const cell = element.insertCell();
        if (column.key === "id") cell.append(this.button(row.id));
        if (column.key === "mean") this.sparks.add(row.id, element, cell);
      }
      element.addEventListener("click", (event) => this.choose(row.id, event.shiftKey || event.ctrlKey || event.metaKey));
      this.kept.set(row.id, element);
    }
    element.title = details(row, /** @type {Run} */ (this.run));
    element.classList.toggle("growing", !row.final);
    element.classList.toggle("chosen", this.selected.has(row.id));
    element.querySelector("button")?.setAttribute("aria-pressed", String(this.selected.has(row.id)));
    this.columns.forEach((column, i) => {
      const cell = /** @type {HTMLTableRowElement} */ (element).cells[i];
      if (column.key === "mean") {
        cell.title = `${column.label} ${column.text(row)}`;
        return;
      }
      const place = column.key === "id" ? /** @type {HTMLElement} */ (cell.querySelector("span")) : cell;
      const text = column.text(row);
      if (place.textContent !== text) place.textContent = text;
      // An object may step aside from a neighbour's hue while the run goes on.
      if (place !== cell) /** @type {HTMLElement} */ (cell.querySelector(".swatch")).style.setProperty("--colour", cssColour(row.id));
    });
    return element;
  }
}

/** @param {number} id */
export function swatch(id) {
  const mark = document.createElement("i");
  mark.className = "swatch";
  mark.style.setProperty("--colour", cssColour(id));
  return mark;
}
