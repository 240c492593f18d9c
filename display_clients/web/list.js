/**
 * Owns the list of runs, which is the page without a run's name: newest first, each a link to its view,
 * those that are looked for, page by page.
 */

import { sentenceOf } from "./fields.js";
import { count, date, plural, shape } from "./format.js";
import { isNarrow, nothing, PAGE, queryOf, readFilter, writtenFilter } from "./listing.js";
import { at } from "./page.js";
import { Answer, ask } from "./run.js";
import { badge, chunksInWords, fraction, sentence } from "./words.js";

/** @typedef {import("./words.js").Run} Run */

const AGAIN_MS = 2000;
/** Whoever types is asked what for when they have paused so long. */
const TYPING_MS = 250;

export class RunsList {
  /** @param {HTMLElement} page @param {URL} api @param {URL} base where the pages lie */
  constructor(page, api, base) {
    this.list = /** @type {HTMLElement} */ (page.querySelector("#runs-list"));
    this.note = /** @type {HTMLElement} */ (page.querySelector("#runs-note"));
    this.api = api;
    this.base = base;
    this.cards = /** @type {Map<string, HTMLElement>} */ (new Map());
    this.filter = readFilter(location.hash);
    this.asked = this.timer = this.typing = 0;
    this.shown = false;
    at("find").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    at("find-words").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = window.setTimeout(() => this.find(), TYPING_MS);
    });
    at("find-state").addEventListener("change", () => this.find());
    document.addEventListener("visibilitychange", () => this.shown && this.follow());
  }

  /** The list is to be seen, as the page's address has it. */
  open() {
    this.shown = true;
    this.filter = readFilter(location.hash);
    if (document.activeElement !== at("find-words")) at("find-words").value = this.filter.words;
    at("find-state").value = this.filter.state;
    this.follow();
  }

  close() {
    this.shown = false;
    clearTimeout(this.timer);
  }

  /** Other runs are wanted: the newest of them first. */
  find() {
    clearTimeout(this.typing);
    this.filter = { words: at("find-words").value, state: at("find-state").value, before: "" };
    history.replaceState(null, "", this.address(this.filter));
    this.follow();
  }

  /** This page's address with a filter. @param {import("./listing.js").Filter} filter */
  address(filter) {
    return `${location.pathname}${location.search}${writtenFilter(filter)}`;
  }

  async follow() {
    clearTimeout(this.timer);
    if (document.visibilityState === "visible") await this.refresh();
    clearTimeout(this.timer);
    if (this.shown) this.timer = window.setTimeout(() => this.follow(), AGAIN_MS);
  }

  async refresh() {
    const asked = (this.asked += 1);
    const filter = this.filter;
    try {
      const runs = /** @type {Run[]} */ (await ask(new URL(`runs?${queryOf(filter)}`, this.api)));
      if (asked !== this.asked) return;
      const narrow = isNarrow(filter);
      at("find").hidden = !runs.length && !narrow;
      at("runs-nothing").textContent = nothing(filter);
      this.tell(runs.length ? "" : narrow ? "nothing" : "empty");
      this.pages(filter, runs);
      this.draw(runs.slice(0, PAGE));
    } catch (why) {
      if (asked !== this.asked) return;
      if (why instanceof Answer && why.status === 401) {
        this.draw([]);
        this.tell("");
        return;
      }
      if (why instanceof Answer && why.status < 500) {
        at("runs-refused").textContent = sentenceOf(why.message);
        this.draw([]);
        this.tell("refused");
      } else this.tell("trouble");
    }
  }

  /** @param {string} kind of what is to be said in place of runs; empty: nothing */
  tell(kind) {
    this.note.hidden = !kind;
    this.note.dataset.kind = kind;
  }

  /** @param {import("./listing.js").Filter} filter @param {Run[]} runs one more than is shown, if there are more */
  pages(filter, runs) {
    const more = runs.length > PAGE;
    at("runs-pages").hidden = !more && !filter.before;
    at("runs-newest").hidden = !filter.before;
    at("runs-newest").href = writtenFilter({ ...filter, before: "" }) || "#";
    at("runs-older").hidden = !more;
    if (more) at("runs-older").href = writtenFilter({ ...filter, before: runs[PAGE - 1].run_id });
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
    put("facts", [run.variable, shape(run.shape), run.created ? `${date(run.created)} UTC` : "", run.run_id].filter(Boolean).join(" · "));
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
