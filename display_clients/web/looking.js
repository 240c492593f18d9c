/**
 * Owns the look: sends it, keeps it in the page's address, and takes over what others who lead a shared view see.
 *
 * Whatever changes it says so here; everybody who shows a part of it is told.  Decisions are in look.js and fragment.js.
 */

import { HOME } from "./camera.js";
import { read, written } from "./fragment.js";
import { same, sound, spanOf, usual } from "./look.js";
import { encodeLook } from "./wire.js";

/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./wire.js").Camera} Camera */
/**
 * What the renderer says of the run and the look together.
 * @typedef {object} Facts
 * @property {number[]} half of the scene's box, (x, y, z)
 * @property {[number, number][]} ends the least and the largest coordinate along (x, y, z); empty as long as nothing is known
 * @property {{step: number, words: string, newest: number}} when
 * @property {{range: [number, number], histogram: number[], colours: string[]} | null} field null: the run carries none
 */

const RETRY_MS = 10;
/** The address is written at most so often: browsers refuse more. */
const WRITE_MS = 400;
/** So long after a change of one's own, what others see is not taken over: their word may be older. */
export const OWN_MS = 700;

export class Looking {
  /**
   * @param {import("./socket.js").Socket} socket
   * @param {import("./view.js").View} view
   * @param {object} on
   * @param {(look: Look) => void} on.change
   * @param {() => void} on.grab somebody changes a picture that others may see too
   * @param {(open: boolean | null) => void} on.unfold the panel is to be open or not; null: as the window has room
   * @param {() => boolean | null} on.unfolded
   */
  constructor(socket, view, on) {
    this.socket = socket;
    this.view = view;
    this.on = on;
    this.look = usual();
    this.span = /** @type {import("./look.js").Span} */ ("until");
    this.facts = /** @type {Facts} */ ({ half: [1, 1, 1], ends: [], when: { step: 0, words: "", newest: 0 }, field: null });
    this.pending = false;
    this.at = /** @type {number | null} */ (null);
    this.changedAt = -Infinity;
    this.others = /** @type {Look | null} */ (null);
    this.sending = this.writing = this.yielding = 0;
    window.addEventListener("hashchange", () => this.open());
  }

  /** Shows what the page's address says. */
  open() {
    const { camera, look, panel } = read(location.hash);
    this.on.unfold(panel);
    if (camera) this.view.aim(camera);
    if (look.window || look.time !== null) this.span = spanOf(look);
    if (!same(look, this.look)) this.change(look, null);
  }

  /** A new line: the renderer there knows the usual look only. */
  opened() {
    if (!same(this.look, usual())) this.pending = true;
    this.pump();
  }

  /**
   * The picture is to be seen so.
   * @param {Look} look
   * @param {number | null} [at] when what caused it happened
   * @param {boolean} [grab] somebody wants it so, and it does not only go on by itself
   */
  change(look, at = performance.now(), grab = at !== null) {
    if (same(look, this.look)) return;
    if (grab) this.on.grab();
    this.look = look;
    this.at = at;
    this.pending = true;
    this.changedAt = performance.now();
    this.pump();
    this.write();
    this.on.change(look);
    // If it comes to nothing, because somebody else leads and goes on doing so, nobody says so.
    if (this.others) this.hear(this.others);
  }

  /** What whoever leads the view sees; null where nobody else leads. @param {unknown} given */
  hear(given) {
    this.others = given ? sound(given) : null;
    clearTimeout(this.yielding);
    if (!this.others) return;
    const wait = this.changedAt + OWN_MS - performance.now();
    if (wait > 0) this.yielding = window.setTimeout(() => this.hear(this.others), wait);
    else this.take(this.others);
  }

  /** The picture is seen so already. @param {unknown} given */
  take(given) {
    const look = sound(given);
    this.pending = false;
    if (same(look, this.look)) return;
    this.look = look;
    this.span = spanOf(look);
    this.write();
    this.on.change(look);
  }

  pump() {
    clearTimeout(this.sending);
    if (!this.pending) return;
    const sent = this.socket.numbered((sequence) => encodeLook(sequence, this.look), this.at);
    if (sent) this.pending = false;
    else if (this.socket.ws) this.sending = window.setTimeout(() => this.pump(), RETRY_MS);
  }

  /** The camera as the address has it: none where it stands as a newcomer's does. @returns {Camera | null} */
  camera() {
    const { camera, fitted } = this.view;
    const home = fitted && camera.azimuth === HOME.azimuth && camera.elevation === HOME.elevation;
    return home ? null : camera;
  }

  /** The page's address with what is seen. */
  link() {
    return `${location.origin}${location.pathname}${location.search}${written(this.camera(), this.look, this.on.unfolded())}`;
  }

  write() {
    clearTimeout(this.writing);
    this.writing = window.setTimeout(() => {
      if (this.link() !== location.href) history.replaceState(null, "", this.link());
    }, WRITE_MS);
  }
}
