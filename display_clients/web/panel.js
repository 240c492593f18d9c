/**
 * Owns the panel, open or not, and its text: what is said of the run, how far it is, and whether there is one at all.
 */

import { count, duration, shape, short } from "./format.js";
import { at } from "./page.js";
import { axisView, badge, chunksInWords, criterion, fraction, isOver, remarks, sentence } from "./words.js";

/** @typedef {import("./words.js").Run} Run */

/** Where the panel lies below the picture, and where there is no room for both (as style.css has it). */
const STACKED = matchMedia("(max-width: 720px), (max-width: 960px) and (orientation: portrait)"), LOW = matchMedia("(max-height: 520px)");

/** Whether the window has room for an open panel. */
const room = () => (STACKED.matches ? innerHeight > 700 : !LOW.matches);

/** Changes text only where it differs, so that live regions speak only of news. @param {keyof PageElements} id @param {string} text */
export function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

export class Panel {
  /** @param {() => void} toggled somebody has opened or closed it */
  constructor(toggled) {
    /** Whether it is open, where somebody wants it otherwise than the window has room for it. */
    this.chosen = /** @type {boolean | null} */ (null);
    at("toggle").addEventListener("click", () => {
      this.unfold(document.body.classList.contains("closed"));
      toggled();
    });
  }

  /** Opens or closes it; null: as the window has room. @param {boolean | null} wanted */
  unfold(wanted) {
    const open = wanted ?? room();
    this.chosen = open === room() ? null : open;
    document.body.classList.toggle("closed", !open);
    at("panel-body").inert = !open;
    at("toggle").setAttribute("aria-expanded", String(open));
    at("toggle").title = open ? "Hide the panel" : "Show the panel";
  }

  /** How the run stands now. @param {Run} run */
  describe(run) {
    const status = run.status;
    const over = isOver(run);
    document.title = `${over ? "" : `${Math.floor(fraction(status) * 100)} % · `}${run.title || run.variable} – CaveCast`;
    document.body.dataset.state = run.state;
    say("title", run.title || run.variable || run.run_id);
    say("facts", `${criterion(run)} · ${shape(run.shape, run.dims)}`);
    say("badge", badge(run.state));
    say("sentence", sentence(run));
    const done = fraction(status);
    const bar = at("progress");
    bar.style.setProperty("--done", String(done));
    bar.style.setProperty("--leased", String(status?.chunks ? status.leased / status.chunks : 0));
    bar.style.setProperty("--failed", String(status?.chunks ? status.failed / status.chunks : 0));
    bar.setAttribute("aria-valuenow", String(Math.floor(done * 100)));
    bar.setAttribute("aria-valuetext", chunksInWords(status));
    say("objects-count", status?.chunks ? count(status.objects) : "–");
    say("chunks-count", status?.chunks ? `${count(status.committed)} / ${count(status.chunks)}` : "–");
    say("speed", status?.voxels_per_second ? short(status.voxels_per_second) : "–");
    say("eta-label", over ? "Took" : "Left");
    say("eta", over ? duration(status?.seconds) : duration(status?.eta_s));
    at("cancel").hidden = over;
    this.remark(remarks(run));
    for (const link of at("downloads").querySelectorAll("a")) link.hidden = link.dataset.format === "geojson" && !run.on_sphere;
  }

  /** @param {import("./words.js").Remark[]} said */
  remark(said) {
    const all = said.map(({ text }) => text).join();
    if (at("remarks").dataset.text === all) return;
    at("remarks").dataset.text = all;
    at("remarks").replaceChildren(
      ...said.map(({ text, failed }) => Object.assign(document.createElement("li"), { textContent: text, className: failed ? "failed" : "" })),
    );
  }

  /** @param {Run} run */
  nameViews(run) {
    for (const axis of /** @type {const} */ ([0, 1, 2])) {
      const { name, hint } = axisView(run.dims ?? [], axis);
      at(`along-${axis}`).textContent = name;
      at(`along-${axis}`).title = hint;
    }
  }

  /** There is no such run: why. @param {string} id @param {string} text */
  missing(id, text) {
    document.title = "No such run – CaveCast";
    document.body.dataset.state = "missing";
    say("title", "No such run");
    say("facts", text ? `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/\.\.$/, ".") : id);
    at("cancel").hidden = true;
  }
}
