/**
 * Owns what a page does with the walls that show its run: takes a wall's view here, brings this one there, or stays with
 * a wall, which is both, again and again.
 *
 * A wall's view is the conductor's own and is read and changed over the API (docs/http.md).  A change names the revision
 * that it was made from; where somebody was quicker, the view is read anew and the change applied once more.
 */

import { differences, sound } from "./look.js";
import { at } from "./page.js";
import { anchorOf, cameraAt, placementOf, soundPlace } from "./placement.js";
import { Answer, ask } from "./run.js";

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {{revision: string, state: any, head: any}} WallView */

/** So often it is asked what a wall shows, and so far apart are changes of it. */
const LOOK_MS = 700, CHANGE_MS = 150;
const PATIENCE_MS = 8000;
/** Whoever stays with a wall takes the lead, of which he hears so much later at most. */
const SETTLED_MS = 3000;

export class Wall {
  /**
   * @param {URL} address of the run in the API
   * @param {object} page
   * @param {() => {camera: Camera, look: Look}} page.seen what is seen here
   * @param {(camera: Camera | null, look: Look, grab: boolean) => void} page.show
   * @param {() => boolean} page.leads whether what is done here is what is seen
   */
  constructor(address, page) {
    this.address = address;
    this.page = page;
    this.name = "";
    this.staying = false;
    this.since = 0;
    /** Whether one has led since one stays with the wall. */
    this.led = false;
    this.busy = false;
    this.waiting = /** @type {(() => void) | null} */ (null);
    this.view = /** @type {WallView | null} */ (null);
    this.anchor = /** @type {import("./placement.js").Anchor | null} */ (null);
    /** What the page and the wall both show, as far as is known. */
    this.look = /** @type {Look | null} */ (null);
    this.camera = "";
    this.timer = 0;
    at("wall-name").addEventListener("change", () => this.choose(at("wall-name").value));
    at("wall-take").addEventListener("click", () => this.once(() => this.take(), "The wall's view is here."));
    at("wall-bring").addEventListener("click", () => this.once(() => this.bring(), "The wall shows this view."));
    at("wall-stay").addEventListener("change", () => this.stay(at("wall-stay").checked));
  }

  /** @param {{walls?: {name: string}[]}} run */
  describe(run) {
    const names = (run.walls ?? []).map(({ name }) => name);
    at("wall").hidden = !names.length;
    if (at("wall-name").dataset.names === names.join()) return;
    at("wall-name").dataset.names = names.join();
    at("wall-name").replaceChildren(...names.map((name) => new Option(name, name, name === this.name, name === this.name)));
    if (!names.includes(this.name)) {
      if (this.staying) this.say(`The run is not on wall ${this.name} any more.`);
      this.choose(names[0] ?? "");
    }
  }

  /** @param {string} name */
  choose(name) {
    this.name = name;
    this.view = this.anchor = null;
    this.stay(false);
  }

  /** The page shows something else than before. */
  changed() {
    if (this.staying && !this.busy && this.drives() && this.patch()) this.next(CHANGE_MS);
  }

  /** @param {boolean} on */
  stay(on) {
    this.staying = on && this.name !== "";
    this.since = performance.now();
    this.led = false;
    at("wall-stay").checked = this.staying;
    clearTimeout(this.timer);
    if (!this.staying) return;
    this.say("");
    const begin = async () => {
      await this.take();
      this.led = this.page.leads();
    };
    this.once(begin, `This page and wall ${this.name} show the same.`);
  }

  /** @param {number} waitMs */
  next(waitMs) {
    clearTimeout(this.timer);
    if (this.staying) this.timer = window.setTimeout(() => (this.busy ? this.next(CHANGE_MS) : this.once(() => this.turn(), "")), waitMs);
  }

  /** What is seen here goes there, or what is seen there comes here. */
  async turn() {
    if (document.visibilityState !== "visible" || !this.drives()) return;
    if (this.patch()) await this.bring();
    else {
      const known = this.view?.revision;
      const view = await this.read();
      // Somebody may have changed something here meanwhile: that goes there first.
      if (this.drives() && view.revision !== known && !this.patch()) this.adopt(view, false);
    }
  }

  /**
   * Whether what is seen here is one's own doing, so that it may go there.  Staying with the wall ends with the lead: what
   * somebody else shows here from then on nobody has wanted there.
   */
  drives() {
    const leads = this.page.leads();
    if (leads) this.led = true;
    else if (this.led || performance.now() > this.since + SETTLED_MS) {
      this.stay(false);
      this.say("Somebody else leads this view now, so it does not stay with the wall any more.");
    }
    return leads;
  }

  /** One thing at a time, of those that wait the last one; a refusal is said. @param {() => Promise<void>} deed @param {string} done */
  async once(deed, done) {
    if (this.busy) {
      this.waiting = () => this.once(deed, done);
      return;
    }
    this.busy = true;
    const { name } = this;
    try {
      await deed();
      if (done || at("wall-said").dataset.wrong) this.say(done);
    } catch (why) {
      if (name !== this.name) return;
      if (!(why instanceof Answer)) this.say("The control plane is out of reach; the wall is asked again.", true);
      else {
        this.say(`${why.message}.`.replace(/\.\.$/, "."), true);
        // What was refused would be again; a conductor that is away comes back.
        if ([401, 403, 404, 422].includes(why.status)) this.stay(false);
      }
    } finally {
      this.busy = false;
      const { waiting } = this;
      this.waiting = null;
      if (waiting) waiting();
      else this.next(this.patch() ? CHANGE_MS : LOOK_MS);
    }
  }

  // ------------------------------------------------------------------ there and back

  /** @param {RequestInit} [how] @returns {Promise<WallView>} */
  async read(how) {
    const { name } = this;
    const view = /** @type {WallView} */ (await ask(this.place(), how, PATIENCE_MS));
    if (name !== this.name) throw new Error("another wall was chosen meanwhile");
    return view;
  }

  place() {
    return new URL(`${this.address.href}/views/wall.${encodeURIComponent(this.name)}`);
  }

  async take() {
    this.adopt(await this.read());
  }

  /** Shows here what a wall shows. @param {WallView} view @param {boolean} [grab] somebody wants to see it */
  adopt(view, grab = true) {
    const look = sound(view.state);
    const before = JSON.stringify(this.view?.state?.placement);
    this.view = view;
    const found = soundPlace(view.state?.placement, view.head);
    const moved = found !== null && JSON.stringify(view.state.placement) !== before;
    if (found && moved) this.anchor = anchorOf(found.placement, found.head);
    this.page.show(found && moved ? cameraAt(found.placement, found.head) : null, look, grab);
    this.agree();
  }

  /** What is seen here is what is seen there. */
  agree() {
    const { camera, look } = this.page.seen();
    [this.look, this.camera] = [look, JSON.stringify(camera)];
  }

  /** What is to be changed there; null if nothing is. @returns {Record<string, unknown> | null} */
  patch() {
    const { camera, look } = this.page.seen();
    const found = this.look ? differences(look, this.look) : {};
    if (this.look && JSON.stringify(camera) !== this.camera && this.anchor) found.placement = placementOf(camera, this.anchor);
    return Object.keys(found).length ? found : null;
  }

  /** Shows there what is seen here: all of it, or what has changed since both showed the same. */
  async bring() {
    const { camera, look } = this.page.seen();
    let view = (this.staying && this.view) || (await this.read());
    const found = soundPlace(view.state?.placement, view.head);
    if (!this.anchor && found) this.anchor = anchorOf(found.placement, found.head);
    const state = (this.staying && this.patch()) || { ...look, ...(this.anchor && { placement: placementOf(camera, this.anchor) }) };
    for (let again = false; ; again = true) {
      try {
        const method = "PATCH";
        const headers = { Accept: "application/json", "Content-Type": "application/json", "If-Match": `"${view.revision}"` };
        view = await this.read({ method, headers, body: JSON.stringify({ state }) });
        break;
      } catch (why) {
        if (again || !(why instanceof Answer) || why.status !== 412) throw why;
        view = await this.read();
      }
    }
    this.view = view;
    [this.look, this.camera] = [look, JSON.stringify(camera)];
  }

  /** @param {string} text @param {boolean} [wrong] */
  say(text, wrong = false) {
    at("wall-said").textContent = text && text[0].toUpperCase() + text.slice(1);
    at("wall-said").dataset.wrong = wrong ? "wrong" : "";
  }
}
