/**
 * Owns the bar below the picture: the time cursor, playing, and *live*, which follows the newest data.
 */

import { advance, beginning, SPEEDS } from "./clock.js";
import { atStep } from "./look.js";
import { OWN_MS } from "./looking.js";
import { at } from "./page.js";
import { isOver } from "./words.js";

/** @typedef {import("./looking.js").Looking} Looking */

export class Timeline {
  /** @param {Looking} looking @param {() => boolean} leads whether what is done here is what is seen */
  constructor(looking, leads) {
    this.looking = looking;
    this.leads = leads;
    this.last = 0;
    this.over = false;
    this.part = /** @type {{first: number, last: number} | null} */ (null);
    this.playing = 0;
    this.step = 0;
    this.then = this.since = 0;
    at("pace").replaceChildren(...SPEEDS.map((n) => new Option(`${n}/s`, String(n), n === 5, n === 5)));
    at("time").addEventListener("input", () => this.go(Number(at("time").value)));
    at("play").addEventListener("click", () => this.toggle());
    at("live").addEventListener("click", () => this.go(null));
    at("span").addEventListener("change", () => {
      looking.span = /** @type {import("./look.js").Span} */ (at("span").value);
      looking.change(atStep(looking.look, looking.look.time, looking.span));
    });
    at("picture").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.key(event));
  }

  /** @param {import("./words.js").Run} run */
  describe(run) {
    this.last = Math.max(0, (run.shape?.[0] ?? 1) - 1);
    at("time").max = String(this.last);
    at("time").setAttribute("aria-label", run.dims?.[0] ?? "step");
    at("times").hidden = this.last < 1;
    if (this.over !== isOver(run)) {
      this.over = isOver(run);
      this.show();
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const here = this.looking.look.time ?? this.looking.facts.when.step;
    if (event.key === " ") this.toggle();
    else if (event.key === ",") this.go(Math.max(0, Math.ceil(here) - 1));
    else if (event.key === ".") this.go(Math.min(this.last, Math.floor(here) + 1));
    else if (event.key === "l") this.go(null);
    else return;
    event.preventDefault();
  }

  /** Somebody chooses a step, or the newest one (null). @param {number | null} step */
  go(step) {
    this.stop();
    this.put(step);
  }

  /** @param {number | null} step @param {boolean} [grab] */
  put(step, grab = true) {
    const { looking } = this;
    looking.change(atStep(looking.look, step, looking.span), performance.now(), grab);
  }

  toggle() {
    if (this.playing) {
      this.stop();
      return;
    }
    this.part = null;
    this.start();
  }

  /** Plays from a first to a last step, and again. @param {{first: number, last: number}} part */
  play(part) {
    this.stop();
    this.part = part;
    this.start();
  }

  start() {
    const { first, last } = this.part ?? { first: 0, last: this.last };
    this.step = beginning(this.looking.look.time, last, first);
    this.then = this.since = performance.now();
    this.looking.on.grab();
    this.playing = requestAnimationFrame((now) => this.tick(now));
    this.show();
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.show();
  }

  /** @param {number} now */
  tick(now) {
    const { first, last } = this.part ?? { first: 0, last: this.last };
    const { step, ended } = advance(this.step, (now - this.then) / 1000, Number(at("pace").value), last, at("loop").checked, first);
    this.step = step;
    this.then = now;
    // Playing takes the lead when somebody begins it, not again from who has taken it since.
    const alone = now < this.since + OWN_MS || this.leads();
    if (alone) this.put(Math.floor(step), false);
    if (ended || !alone) this.stop();
    else this.playing = requestAnimationFrame((next) => this.tick(next));
  }

  /** Shows how it stands. */
  show() {
    const { look, facts, span } = this.looking;
    const live = look.time === null;
    const step = live ? facts.when.step : Math.round(Number(look.time));
    at("time").value = String(step);
    const known = facts.when.step === step && facts.when.words;
    const words = known ? facts.when.words : `Step ${step + 1} of ${this.last + 1}`;
    at("when").textContent = words;
    at("time").setAttribute("aria-valuetext", words);
    // Nothing more comes to a run that is over: then the button goes to its end, and follows nothing.
    at("live").textContent = this.over ? "All" : "Live";
    at("live").title = `${this.over ? "All steps" : "Follow the newest data"} (key l)`;
    if (this.over) at("live").removeAttribute("aria-pressed");
    else at("live").setAttribute("aria-pressed", String(live));
    at("play").setAttribute("aria-label", this.playing ? "Pause" : "Play");
    at("play").title = `${this.playing ? "Pause" : "Play"} (space)`;
    at("play").classList.toggle("playing", this.playing !== 0);
    at("span").value = span;
    at("span").disabled = look.mode !== "cube";
  }
}
