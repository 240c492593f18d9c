/**
 * Owns the window with what the parts of a run have said, which follows them while it is open.
 */

import { offer } from "./control.js";
import { howMuch, lineInWords, linesQuery, partsOf, sameLines } from "./lines.js";
import { at } from "./page.js";
import { ask } from "./run.js";

/** @typedef {import("./lines.js").Line} Line */

const AGAIN_MS = 2000;
/** Whoever has scrolled up no farther than this still reads the newest line. */
const NEAR_PX = 40;

export class Log {
  /** @param {URL} address of the run in the API */
  constructor(address) {
    this.address = address;
    this.lines = /** @type {Line[]} */ ([]);
    this.parts = /** @type {string[]} */ ([]);
    this.timer = 0;
    at("log-open").addEventListener("click", () => {
      at("log").showModal();
      this.follow();
    });
    at("log-close").addEventListener("click", () => at("log").close());
    at("log").addEventListener("close", () => clearTimeout(this.timer));
    at("log-part").addEventListener("change", () => this.follow());
  }

  async follow() {
    clearTimeout(this.timer);
    const part = at("log-part").value;
    // Asked before the lines are: what a run says at its end is had once more after it.
    const over = ["complete", "cancelled", "failed"].includes(document.body.dataset.state ?? "");
    try {
      const lines = /** @type {Line[]} */ (await ask(new URL(`${this.address.href}/logs?${linesQuery(part)}`)));
      if (part !== at("log-part").value || !at("log").open) return;
      this.draw(lines, part);
      this.say(howMuch(lines.length, over));
    } catch (why) {
      this.say(`The log cannot be had: ${why instanceof Error ? why.message : why}`);
    }
    clearTimeout(this.timer);
    if (at("log").open && !over) this.timer = window.setTimeout(() => this.follow(), AGAIN_MS);
  }

  /** @param {string} text */
  say(text) {
    if (at("log-said").textContent !== text) at("log-said").textContent = text;
  }

  /** @param {Line[]} lines @param {string} part */
  draw(lines, part) {
    const parts = partsOf(lines, this.parts);
    if (parts.length !== this.parts.length) {
      this.parts = parts;
      offer(at("log-part"), [{ value: "", text: "all" }, ...parts.map((name) => ({ value: name, text: name }))]);
      at("log-part").value = part;
    }
    if (lines.length && sameLines(lines, this.lines)) return;
    this.lines = lines;
    const box = /** @type {HTMLElement} */ (at("log-lines"));
    const newest = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX || !box.childElementCount;
    box.replaceChildren(...lines.map((line) => this.row(line)));
    if (newest) box.scrollTop = box.scrollHeight;
  }

  /** @param {Line} line */
  row(line) {
    const { clock, part, level, text } = lineInWords(line);
    const row = document.createElement("li");
    row.className = level;
    const time = Object.assign(document.createElement("time"), { dateTime: line.time, textContent: clock });
    const who = Object.assign(document.createElement("i"), { textContent: part });
    const what = document.createElement("span");
    if (level) what.append(Object.assign(document.createElement("b"), { textContent: `${level}: ` }));
    what.append(text);
    row.append(time, who, what);
    return row;
  }
}
