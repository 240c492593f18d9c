/**
 * Owns the page on which a run is started: looks at the data, shows what can be chosen, and asks for the run.
 *
 * What can be decided without the page is in fields.js, request.js and dataset.js.
 */

import { complain, Controls, offer } from "./control.js";
import { about, cut, extent, notes, plainly, several } from "./dataset.js";
import { fieldsOf, sentenceOf } from "./fields.js";
import { plural, shape } from "./format.js";
import { at } from "./page.js";
import { fieldIn, Once, requestOf } from "./request.js";
import { Answer, ask } from "./run.js";

/** @typedef {import("./dataset.js").Dataset} Dataset */
/** @typedef {{name: string, description: string, parameters: import("./fields.js").Schema, error: string}} Segmenter */
/** @typedef {{name: string, title: string, busy: boolean, run_id: string | null}} Wall */
/** @typedef {{name: string, role: string, runs: {used: number, limit: number | null}}} Project */
/** @typedef {{runs: number, max_runs: number, max_workers: number}} System */
/** @typedef {{means: string, administrator?: boolean, projects: Record<string, string>}} Me */

/** Looking at an input on a far server, and starting a run, which looks at it again, may take so long. */
const PATIENCE_MS = 600_000;
const MAY_START = new Set(["operator", "admin"]);

/** @param {Me} me */
export function mayStart(me) {
  return Boolean(me.administrator) || Object.values(me.projects).some((role) => MAY_START.has(role));
}

/** A text that nobody had before; crypto.randomUUID is there on secure pages only. */
function drawn() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What went wrong, in a sentence. @param {unknown} why @param {string} doing */
function inWords(why, doing) {
  if (why instanceof Answer) return plainly(why.message);
  if (why instanceof DOMException) return `The server takes too long to ${doing}; try again.`;
  return `The server is out of reach, so that it could not ${doing}; try again.`;
}

export class Start {
  /** @param {URL} api @param {URL} base where the pages lie */
  constructor(api, base) {
    this.api = api;
    this.base = base;
    this.data = /** @type {Dataset | null} */ (null);
    this.segmenters = /** @type {Segmenter[]} */ ([]);
    this.mostWorkers = /** @type {number | null} */ (null);
    this.controls = new Controls(at("new-fields"), at("new-later"));
    this.once = new Once(drawn);
    this.looks = 0;
    this.busy = this.ready = false;
    at("new-form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!this.data || document.activeElement === at("new-input")) this.look();
      else this.start();
    });
    at("new-look").addEventListener("click", () => this.look());
    at("new-input").addEventListener("input", () => this.forget());
    at("new-variable").addEventListener("change", () => this.look(at("new-variable").value));
    at("new-segmenter").addEventListener("change", () => this.segmenter());
    at("new-walls").addEventListener("change", () => this.walls());
    for (const id of /** @type {const} */ (["new-workers", "new-chunk", "new-out"])) {
      const control = at(id);
      control.addEventListener("input", () => complain(control, ""));
    }
    for (const sample of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-sample]"))) {
      sample.addEventListener("click", () => {
        at("new-input").value = sample.dataset.sample ?? "";
        this.look();
      });
    }
    // A page that comes back from the browser's memory has nothing on its way.
    window.addEventListener("pageshow", () => this.rest());
  }

  /** The form is to be seen. */
  async open() {
    at("new-input").focus();
    if (this.ready) return;
    this.ready = true;
    // Each by itself: what cannot be had is not offered, and the server says the rest when the run is asked for.
    await Promise.all([this.askSegmenters(), this.askWalls(), this.askProjects(), this.askRoom()]);
  }

  async askSegmenters() {
    try {
      this.segmenters = /** @type {Segmenter[]} */ (await ask(new URL("segmenters", this.api)));
    } catch (why) {
      this.ready = false;
      this.wrong(inWords(why, "list the segmenters"));
      return;
    }
    offer(at("new-segmenter"), this.segmenters.map(({ name, error }) => (
      { value: name, text: error ? `${name} (cannot be had)` : name, disabled: Boolean(error) }
    )));
    const usual = this.segmenters.find(({ name, error }) => name === "connect" && !error) ?? this.segmenters.find(({ error }) => !error);
    if (usual) at("new-segmenter").value = usual.name;
    this.segmenter();
  }

  async askWalls() {
    const walls = /** @type {Wall[]} */ (await ask(new URL("walls", this.api)).catch(() => []));
    at("new-walls-field").hidden = !walls.length;
    at("new-walls").replaceChildren(...walls.map((wall) => {
      const label = document.createElement("label");
      label.className = "tick";
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: wall.name });
      box.dataset.busy = String(wall.busy);
      const text = document.createElement("span");
      text.textContent = wall.title && wall.title !== wall.name ? `${wall.title} (${wall.name})` : wall.name;
      const small = document.createElement("small");
      small.textContent = wall.busy ? `Shows ${wall.run_id ?? "a run"} now.` : "Free.";
      text.append(small);
      label.append(box, text);
      return label;
    }));
  }

  async askProjects() {
    const me = /** @type {Me | null} */ (await ask(new URL("me", this.api)).catch(() => null));
    if (!me || me.means === "local") return;
    const mine = /** @type {Project[]} */ (await ask(new URL("projects", this.api)).catch(() => []));
    const open = mine.filter(({ role }) => MAY_START.has(role));
    at("new-project-field").hidden = open.length < 2;
    offer(at("new-project"), open.map(({ name, runs }) => (
      { value: name, text: runs.limit === null ? name : `${name} (${runs.used} of ${plural(runs.limit, "run")} at work)` }
    )));
  }

  async askRoom() {
    const system = /** @type {System | null} */ (await ask(new URL("system", this.api)).catch(() => null));
    if (!system) return;
    this.mostWorkers = system.max_workers;
    at("new-workers-hint").textContent = `Processes that segment side by side, ${system.max_workers} at most. Empty: as the server is set.`;
    at("new-room").textContent = system.runs >= system.max_runs ? `${plural(system.runs, "run")} at work: this one will wait for room.` : "";
  }

  /** The input is another one: what was known of the last one is not true of it. */
  forget() {
    this.looks += 1;
    this.data = null;
    complain(at("new-input"), "");
    at("new-looking").textContent = "";
    at("new-variable-field").hidden = true;
    this.show();
  }

  show() {
    at("new-data").hidden = at("new-rest").hidden = at("new-go").hidden = !this.data;
    if (!this.data) this.wrong("");
  }

  /** Looks at the data. @param {string} [variable] */
  async look(variable) {
    const input = at("new-input").value.trim();
    if (variable === undefined) this.forget();
    const look = (this.looks += 1);
    if (!input) {
      complain(at("new-input"), "Say first which data: a file, an address, or a sample.");
      at("new-input").focus();
      return;
    }
    at("new-looking").textContent = "The server looks at it…";
    try {
      const body = JSON.stringify(variable ? { input, variable } : { input });
      const data = await ask(new URL("datasets/inspect", this.api), { method: "POST", headers: { "content-type": "application/json" }, body }, PATIENCE_MS);
      if (look === this.looks) this.found(/** @type {Dataset} */ (data));
    } catch (why) {
      if (look !== this.looks) return;
      at("new-looking").textContent = "";
      this.data = null;
      const variables = why instanceof Answer ? why.variables : [];
      if (variables.length && !variable) this.choose(variables);
      else complain(at("new-input"), inWords(why, "look at it"));
      this.show();
    }
  }

  /** One of several variables has to be named. @param {string[]} variables */
  choose(variables) {
    offer(at("new-variable"), [{ value: "", text: "Choose…", disabled: true }, ...variables.map((name) => ({ value: name, text: name }))]);
    at("new-variable").value = "";
    at("new-about").textContent = several(variables);
    at("new-variable-field").hidden = false;
    at("new-variable").focus();
  }

  /** @param {Dataset} data */
  found(data) {
    this.data = data;
    complain(at("new-input"), "");
    at("new-looking").textContent = "";
    offer(at("new-variable"), data.variables.map((name) => ({ value: name, text: name })));
    at("new-variable").value = data.variable;
    at("new-about").textContent = sentenceOf(about(data));
    at("new-variable-field").hidden = false;
    at("new-title").textContent = data.title;
    at("new-axes").replaceChildren(...data.dimensions.map((axis) => {
      const row = document.createElement("div");
      for (const [tag, text] of [["dt", axis.name], ["dd", String(axis.size)], ["dd", extent(axis)]]) {
        row.append(Object.assign(document.createElement(tag), { textContent: text }));
      }
      return row;
    }));
    at("new-cut").textContent = cut(data);
    at("new-notes").replaceChildren(...notes(data).map((note) => Object.assign(document.createElement("li"), { textContent: note })));
    at("new-chunk").placeholder = shape(data.chunk);
    this.segmenter();
    this.show();
  }

  /** Another segmenter is chosen, or it is for other data. */
  segmenter() {
    const chosen = this.segmenters.find(({ name }) => name === at("new-segmenter").value);
    const fields = chosen ? fieldsOf(chosen.parameters) : [];
    at("new-segmenter-hint").textContent = sentenceOf(chosen?.description ?? "");
    this.controls.show(fields, this.data?.units ?? "");
    this.controls.suggest(this.data?.suggested ?? {});
  }

  chosenWalls() {
    return /** @type {HTMLInputElement[]} */ ([...at("new-walls").querySelectorAll("input:checked")]);
  }

  walls() {
    at("new-take-field").hidden = !this.chosenWalls().some((box) => box.dataset.busy === "true");
  }

  /** @param {string} sentence empty: nothing is wrong */
  wrong(sentence) {
    at("new-wrong").textContent = sentence;
  }

  /** @param {string} name of a field of the request or of the segmenter @returns {HTMLElement | null} */
  control(name) {
    return this.controls.controls.get(name) ?? document.getElementById(`new-${name}`);
  }

  /** Says at the fields what is wrong, and goes to the first of them. @param {Record<string, string>} wrong */
  point(wrong) {
    for (const [name, why] of Object.entries(wrong)) {
      const control = this.control(name);
      if (!control) continue;
      complain(control, why);
      const folded = control.closest("details");
      if (folded) folded.open = true;
    }
    /** @type {HTMLElement | null} */ (at("new-form").querySelector("[aria-invalid]"))?.focus();
  }

  filled() {
    return {
      input: at("new-input").value,
      variable: at("new-variable").value,
      segmenter: at("new-segmenter").value,
      parameters: this.controls.texts(),
      workers: at("new-workers").value,
      chunk: at("new-chunk").value,
      out: at("new-out").value,
      values: at("new-values").checked,
      walls: this.chosenWalls().map((box) => box.value),
      take: !at("new-take-field").hidden && at("new-take").checked,
      project: at("new-project").value,
    };
  }

  /** Asks for the run, once however often it is pressed, and goes to its page. */
  async start() {
    if (this.busy) return;
    this.wrong("");
    for (const control of /** @type {NodeListOf<HTMLElement>} */ (at("new-form").querySelectorAll("[aria-invalid]"))) complain(control, "");
    const { body, wrong } = requestOf(this.filled(), this.controls.fields, this.mostWorkers);
    this.point(wrong);
    if (Object.keys(wrong).length) return;
    this.busy = true;
    at("new-start").setAttribute("aria-busy", "true");
    at("new-start").textContent = "Starting…";
    try {
      const headers = { "content-type": "application/json", "Idempotency-Key": this.once.keyFor(body) };
      const run = /** @type {{run_id: string}} */ (await ask(new URL("runs", this.api), { method: "POST", headers, body: JSON.stringify(body) }, PATIENCE_MS));
      this.once.done();
      location.assign(new URL(`view/${encodeURIComponent(run.run_id)}`, this.base));
    } catch (why) {
      this.rest();
      this.wrong(inWords(why, "start the run"));
      const name = why instanceof Answer ? fieldIn(why.message, [...this.controls.controls.keys(), "workers", "chunk", "out"]) : "";
      if (name) this.point({ [name]: "See below." });
    }
  }

  rest() {
    this.busy = false;
    at("new-start").removeAttribute("aria-busy");
    at("new-start").textContent = "Start run";
  }
}
