/**
 * Owns the menu of pictures and films to take away: asks for one at a time, says how far it is, and saves it.
 */

import { at } from "./page.js";
import { refusal } from "./run.js";
import { Fragments, progress, wish } from "./shots.js";

/** @typedef {import("./shots.js").Kind} Kind */

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A name for a file of now. @param {string} run @param {string} ending */
export function named(run, ending) {
  const when = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  return `cavecast-${run}-${when}.${ending}`;
}

export class Take {
  /**
   * @param {URL} address of the run in the API
   * @param {string} id of the run
   * @param {import("./view.js").View} view
   * @param {() => object} look what is seen
   * @param {(sentence: string) => void} complain empty when all is well again
   * @param {() => void} opened the menu has been opened
   */
  constructor(address, id, view, look, complain, opened) {
    this.address = address;
    this.id = id;
    this.view = view;
    this.look = look;
    this.complain = complain;
    this.opened = opened;
    this.abort = /** @type {AbortController | null} */ (null);
    at("take-toggle").addEventListener("click", () => this.open(at("take").hidden === true));
    at("take-stop").addEventListener("click", () => this.abort?.abort());
    for (const button of this.buttons()) {
      button.addEventListener("click", () => this.take(/** @type {Kind} */ (button.dataset.take)));
    }
    at("picture").addEventListener("pointerdown", () => this.abort || this.open(false));
    at("take").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape") return;
      this.open(false);
      at("take-toggle").focus();
    });
  }

  /** @returns {HTMLButtonElement[]} */
  buttons() {
    return /** @type {HTMLButtonElement[]} */ ([...at("take").querySelectorAll("button[data-take]")]);
  }

  /** @param {import("./words.js").Run} run */
  describe(run) {
    at("take-time").hidden = !run.has_time;
  }

  /** @param {boolean} open */
  open(open) {
    at("take").hidden = !open;
    at("take-toggle").setAttribute("aria-expanded", String(open));
    if (open) this.opened();
  }

  /** @param {Kind} kind */
  async take(kind) {
    if (this.abort) return;
    this.abort = new AbortController();
    this.busy(progress(kind, null));
    this.complain("");
    const { path, body } = wish(kind, this.view.box(), window.devicePixelRatio || 1, this.view.camera, this.look());
    try {
      const blob = await this.fetch(kind, path, body, this.abort.signal);
      save(blob, named(this.id, path === "film" ? "mp4" : "png"));
      this.busy("");
      at("take-said").textContent = path === "film" ? "The film is saved." : "The picture is saved.";
    } catch (why) {
      this.busy("");
      if (!this.abort.signal.aborted) {
        this.complain(`It could not be saved: ${why instanceof Error ? why.message.replace(/\.$/, "") : why}.`);
      }
    } finally {
      this.abort = null;
    }
  }

  /** @param {Kind} kind @param {string} path @param {object} body @param {AbortSignal} signal @returns {Promise<Blob>} */
  async fetch(kind, path, body, signal) {
    const response = await fetch(new URL(`${this.address.href}/${path}`), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
    if (!response.ok || !response.body) throw await refusal(response);
    const frames = Number(response.headers.get("Film-Frames") ?? 0);
    const [fragments, pieces] = [new Fragments(), /** @type {BlobPart[]} */ ([])];
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(/** @type {BlobPart} */ (value));
      if (path === "film") fragments.push(value);
      this.busy(progress(kind, path === "film" ? fragments.share(frames) : null));
    }
    return new Blob(pieces, { type: response.headers.get("Content-Type") ?? "" });
  }

  /** @param {string} text empty: nothing is being made */
  busy(text) {
    at("take-said").textContent = text;
    at("take-stop").hidden = !text;
    for (const button of this.buttons()) button.disabled = Boolean(text);
  }
}
