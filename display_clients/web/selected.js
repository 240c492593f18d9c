/**
 * Owns the card of the chosen object: what it is, its life as a chart, alone or among the others, and its data.
 */

import { cssColour } from "./colour.js";
import { there } from "./following.js";
import { count } from "./format.js";
import { chart, HEIGHT, measures, when, WIDTH } from "./life.js";
import { details } from "./objects.js";
import { copy } from "./notice.js";
import { at } from "./page.js";
import { ask } from "./run.js";

/** @typedef {import("./looking.js").Looking} Looking */
/** @typedef {import("./life.js").LifeStep} LifeStep */
/** @typedef {import("./objects.js").ObjectRow} ObjectRow */

const SVG = "http://www.w3.org/2000/svg";
/** While a run goes on, the life of what is chosen is asked for again after so long. */
const AGAIN_MS = 4000;

export class Selected {
  /**
   * @param {URL} address of the run in the API
   * @param {Looking} looking
   * @param {object} on
   * @param {(step: number) => void} on.go somebody wants to see a step
   * @param {(life: {first: number, last: number}) => void} on.play its life is to be played
   * @param {() => void} on.stop nothing is to be played any more
   * @param {(place: LifeStep) => void} on.aim it is followed, and it is there now
   */
  constructor(address, looking, on) {
    this.on = on;
    this.followed = 0;
    this.aimedAt = NaN;
    this.address = address;
    this.looking = looking;
    this.run = /** @type {import("./words.js").Run | null} */ (null);
    this.id = 0;
    this.row = /** @type {ObjectRow | null} */ (null);
    this.life = /** @type {LifeStep[]} */ ([]);
    this.askedAt = -Infinity;
    this.mark = /** @type {Element | null} */ (null);
    at("isolate").addEventListener("click", () => looking.change({ ...looking.look, isolate: !looking.look.isolate }));
    at("follow").addEventListener("click", () => {
      if (this.followed) {
        this.follow(0);
        on.stop();
      } else this.follow(this.id);
    });
    at("copy-row").addEventListener("click", () => this.row && copy(JSON.stringify(this.row), "The row is copied as JSON."));
    at("copy-id").addEventListener("click", () => copy(String(this.id), "The number is copied."));
    at("let-go").addEventListener("click", () => {
      looking.change({ ...looking.look, selected: [], isolate: false });
      at("picture").focus();
    });
    at("measure").addEventListener("change", () => this.draw());
    at("life").addEventListener("click", (/** @type {MouseEvent} */ event) => {
      if (!this.run || this.life.length < 2) return;
      const box = at("life").getBoundingClientRect();
      const { step } = chart(this.life, this.measure(this.run).key);
      const [first, last] = [this.life[0]?.step ?? 0, this.life.at(-1)?.step ?? 0];
      on.go(Math.min(last, Math.max(first, step(((event.clientX - box.left) / box.width) * WIDTH))));
    });
  }

  /** @param {import("./words.js").Run} run */
  describe(run) {
    const first = this.run === null;
    this.run = run;
    if (first) at("measure").replaceChildren(...measures(run).map(({ key, label }) => new Option(label, key)));
    if (this.id && performance.now() - this.askedAt > AGAIN_MS) this.fetch();
  }

  /** An object is followed through its life, or (0) none. @param {number} id */
  follow(id) {
    const [first, last] = [this.life[0]?.step, this.life.at(-1)?.step];
    if (id && (first === undefined || last === undefined)) return;
    this.followed = id;
    this.aimedAt = NaN;
    at("follow").setAttribute("aria-pressed", String(id !== 0));
    if (id) this.on.play({ first: Number(first), last: Number(last) });
  }

  /** What is followed goes on. */
  aim() {
    const { time } = this.looking.look;
    if (!this.followed || time === null) return;
    const step = Math.floor(time);
    if (this.aimedAt === step) return;
    const place = there(this.life, step);
    this.aimedAt = step;
    if (place) this.on.aim(place);
  }

  /** Shows how it stands. */
  show() {
    const { selected, isolate } = this.looking.look;
    const id = selected.at(-1) ?? 0;
    at("chosen").hidden = !id;
    at("isolate").setAttribute("aria-pressed", String(isolate));
    at("chosen-others").textContent = selected.length > 1 ? `and ${selected.length - 1} more marked` : "";
    if (id !== this.id) {
      this.id = id;
      if (this.followed) this.on.stop();
      this.follow(0);
      this.life = [];
      this.row = null;
      at("chosen-name").textContent = `Object ${count(id)}`;
      at("chosen-details").textContent = id ? "Its life is being asked for …" : "";
      at("chosen-csv").href = `${this.address.href}/objects/${id}?format=csv`;
      at("life").replaceChildren();
      if (id) this.fetch();
    }
    at("chosen-mark").style.setProperty("--colour", cssColour(id));
    at("follow").disabled = this.life.length < 2;
    this.aim();
    this.cursor();
  }

  async fetch() {
    const id = this.id;
    this.askedAt = performance.now();
    try {
      const page = /** @type {{objects: ObjectRow[], life: LifeStep[]}} */ (await ask(new URL(`${this.address.href}/objects/${id}`)));
      if (id !== this.id) return;
      this.row = page.objects[0];
      this.life = page.life;
      if (this.row && this.run) at("chosen-details").textContent = details(this.row, this.run);
    } catch (why) {
      if (id === this.id) at("chosen-details").textContent = `${why instanceof Error ? why.message : why}.`;
    }
    this.draw();
  }

  /** What of its life is drawn. @param {import("./words.js").Run} run */
  measure(run) {
    const all = measures(run);
    return all.find(({ key }) => key === at("measure").value) ?? all[0];
  }

  draw() {
    const { run, life } = this;
    at("life-box").hidden = at("follow").disabled = life.length < 2;
    if (!run || life.length < 2) return;
    const measure = this.measure(run);
    const { line, fill, ticks, points } = chart(life, measure.key);
    const parts = ticks.flatMap(({ n, y }) => [
      shape("path", { d: `M46 ${y.toFixed(1)}H${WIDTH - 8}`, class: "grid" }),
      words(measure.write(n), 41, y + 3.5, "end"),
    ]);
    const [first, last] = [points[0], points[points.length - 1]];
    const said = (/** @type {number} */ step) => when(life.find((one) => one.step === step) ?? { step });
    if (first) {
      parts.push(words(said(first.step), 46, HEIGHT - 3, "start"), words(said(last.step), WIDTH - 8, HEIGHT - 3, "end"));
      const top = points.reduce((a, b) => (b.n > a.n ? b : a), first);
      at("life").setAttribute("aria-label", `${measure.label} of object ${this.id}, ${said(first.step)} to ${said(last.step)}; at most ${measure.write(top.n)}: ${said(top.step)}`);
    }
    this.mark = shape("path", { class: "cursor" });
    at("life").replaceChildren(...parts, shape("path", { d: fill, class: "fill" }), shape("path", { d: line, class: "line" }), this.mark);
    at("life").style.setProperty("--colour", cssColour(this.id));
    this.cursor();
  }

  /** Where the time cursor stands in the chart. */
  cursor() {
    if (!this.mark || !this.run || this.life.length < 2) return;
    const step = this.looking.facts.when.step;
    const within = step >= this.life[0].step && step <= (this.life.at(-1)?.step ?? 0);
    const x = chart(this.life, this.measure(this.run).key).x(step);
    this.mark.setAttribute("d", within ? `M${x.toFixed(1)} 6V${HEIGHT - 18}` : "");
  }
}

/** @param {string} name @param {Record<string, string>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** @param {string} text @param {number} x @param {number} y @param {string} anchor */
function words(text, x, y, anchor) {
  const element = shape("text", { x: String(x), y: String(y), "text-anchor": anchor });
  element.textContent = text;
  return element;
}
