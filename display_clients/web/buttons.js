/**
 * Owns the buttons that do something at once: where one looks from, the picture to keep, the link, the end of the run.
 */

import { copy } from "./notice.js";
import { at } from "./page.js";
import { named, save } from "./take.js";

/** A picture that is to be saved waits so long for one without loss; a thin link takes seconds for it. */
const EXACT_MS = 10_000;
const DONE_MS = 2000;

export class Buttons {
  /**
   * @param {import("./view.js").View} view
   * @param {object} of
   * @param {string} of.id of the run
   * @param {() => string} of.link to what is seen
   * @param {() => void} of.ask the renderer for what the view wants now
   * @param {() => void} of.retry the connection at once
   * @param {(words: string) => void} of.search among the objects
   * @param {() => Promise<unknown>} of.cancel the run
   * @param {(text: string) => void} of.trouble empty: all is well again
   */
  constructor(view, of) {
    this.view = view;
    this.of = of;
    this.lossless = false;
    this.exact = /** @type {(() => void)[]} */ ([]);
    this.listen();
  }

  /** @param {boolean} lossless the picture on the canvas is without loss */
  shown(lossless) {
    this.lossless = lossless;
    if (lossless) for (const done of this.exact.splice(0)) done();
  }

  listen() {
    at("fit").addEventListener("click", () => this.view.fit());
    for (const axis of /** @type {const} */ ([0, 1, 2])) {
      at(`along-${axis}`).addEventListener("click", () => this.view.along(axis));
    }
    at("copy").addEventListener("click", () => this.copy());
    at("search").addEventListener("input", () => this.of.search(at("search").value.trim()));
    at("retry").addEventListener("click", () => this.of.retry());
    at("screenshot").addEventListener("click", () => this.screenshot());
    at("cancel").addEventListener("click", () => at("ask-cancel").showModal());
    at("keep-running").addEventListener("click", () => at("ask-cancel").close());
    at("keys-open").addEventListener("click", () => at("keys").showModal());
    at("keys-close").addEventListener("click", () => at("keys").close());
    // Single letters mean something in the picture alone: elsewhere they are somebody's words.
    at("picture").addEventListener("keydown", (event) => event.key === "?" && at("keys").showModal());
    at("cancel-really").addEventListener("click", () => {
      at("ask-cancel").close();
      this.cancel();
    });
  }

  /** The picture on the canvas is without loss, or the link has not brought one in all the time there was. */
  async withoutLoss() {
    if (this.lossless) return;
    this.view.exact = true;
    this.of.ask();
    await new Promise((done) => {
      this.exact.push(() => done(null));
      window.setTimeout(done, EXACT_MS);
    });
    this.view.exact = false;
  }

  async screenshot() {
    if (!this.view.hasPicture) return;
    at("screenshot").setAttribute("aria-busy", "true");
    await this.withoutLoss();
    at("screenshot").removeAttribute("aria-busy");
    save(await this.view.screenshot(), named(this.of.id, "png"));
  }

  async copy() {
    const copied = await copy(this.of.link(), "The link is copied.", "The link stands in the address bar.");
    at("copy").classList.toggle("done", copied);
    window.setTimeout(() => at("copy").classList.remove("done"), DONE_MS);
  }

  async cancel() {
    at("cancel").disabled = true;
    try {
      await this.of.cancel();
      this.of.trouble("");
    } catch (why) {
      this.of.trouble(`The run could not be cancelled: ${why instanceof Error ? why.message : why}.`);
    }
    at("cancel").disabled = false;
  }
}
