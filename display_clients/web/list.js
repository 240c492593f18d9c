/**
 * Owns the list of runs, which is the page without a run's name: newest first, each a link to its view.
 */

import { count, plural, shape } from "./format.js";
import { ask } from "./run.js";
import { badge, chunksInWords, fraction, sentence } from "./words.js";

/** @typedef {import("./words.js").Run} Run */

const AGAIN_MS = 2000;

export class RunsList {
  /** @param {HTMLElement} page @param {URL} api @param {URL} base where the pages lie */
  constructor(page, api, base) {
    this.list = /** @type {HTMLElement} */ (page.querySelector("#runs-list"));
    this.note = /** @type {HTMLElement} */ (page.querySelector("#runs-note"));
    this.api = api;
    this.base = base;
    this.cards = /** @type {Map<string, HTMLElement>} */ (new Map());
  }

  async follow() {
    if (document.visibilityState === "visible") await this.refresh();
    window.setTimeout(() => this.follow(), AGAIN_MS);
  }

  async refresh() {
    try {
      const answer = await ask(new URL("runs", this.api));
      const runs = /** @type {Run[]} */ (Array.isArray(answer) ? answer : answer.runs);
      this.note.hidden = runs.length > 0;
      this.note.dataset.kind = "empty";
      this.draw(runs);
    } catch {
      this.note.hidden = false;
      this.note.dataset.kind = "trouble";
    }
  }

  /** @param {Run[]} runs */
  draw(runs) {
    const here = new Set(runs.map((run) => run.run_id));
    for (const [id, card] of this.cards) {
      if (here.has(id)) continue;
      card.remove();
      this.cards.delete(id);
    }
    runs.forEach((run, i) => {
      const card = this.card(run);
      if (this.list.children[i] !== card) this.list.insertBefore(card, this.list.children[i] ?? null);
    });
  }

  /** @param {Run} run */
  card(run) {
    let card = this.cards.get(run.run_id);
    if (!card) {
      const template = /** @type {HTMLTemplateElement} */ (document.getElementById("run-card"));
      card = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
      const link = /** @type {HTMLAnchorElement} */ (card.querySelector("a"));
      link.href = new URL(`view/${encodeURIComponent(run.run_id)}`, this.base).href;
      this.cards.set(run.run_id, card);
    }
    const put = (/** @type {string} */ name, /** @type {string} */ text) => {
      const place = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (card).querySelector(`[data-put="${name}"]`));
      if (place.textContent !== text) place.textContent = text;
    };
    const status = run.status;
    put("title", run.title || run.variable || run.run_id);
    put("facts", [run.variable, shape(run.shape), run.run_id].filter(Boolean).join(" · "));
    put("badge", badge(run.state));
    put("sentence", sentence(run));
    put("objects", status?.chunks ? plural(status.objects, "object") : "");
    put("chunks", status?.chunks ? `${count(status.committed)} / ${count(status.chunks)} chunks` : "");
    card.dataset.state = run.state;
    const bar = /** @type {HTMLElement} */ (card.querySelector(".bar"));
    bar.style.setProperty("--done", String(fraction(status)));
    bar.title = chunksInWords(status);
    return card;
  }
}
