/**
 * Who leads the view, as far as this page knows: whether what one does is what one sees, and where the leader looks.
 *
 * Whoever takes hold of a shared picture asks for the lead; what one has done to the camera while somebody else leads
 * comes to nothing a moment later.
 */

import { OWN_MS } from "./looking.js";

/** @typedef {import("./viewer.js").Place} Place */
/** @typedef {import("./wire.js").Camera} Camera */

export class Lead {
  /**
   * @param {import("./view.js").View} view
   * @param {import("./looking.js").Looking} looking
   * @param {object} on
   * @param {() => void} on.ask the lead is wanted
   * @param {() => void} on.leave somebody else is not followed any more
   */
  constructor(view, looking, on) {
    this.view = view;
    this.looking = looking;
    this.on = on;
    this.place = /** @type {Place | null} */ (null);
    /** Where the camera is of whoever leads. */
    this.camera = /** @type {Camera | null} */ (null);
    this.yielding = 0;
  }

  /** Whether what one does is what one sees: one is alone in one's view, or leads it. */
  mine() {
    return !this.place || this.place.you === this.place.lead;
  }

  /** Where one stands, as the renderer says; returns it where somebody else leads. @param {Place | null} place */
  hear(place) {
    this.place = place;
    const led = this.mine() ? null : place;
    if (!led) this.camera = null;
    else if (led.camera) this.camera = led.camera;
    if (led?.camera) this.follow(led.camera);
    return led;
  }

  /** What one has done to the camera comes to nothing where somebody else leads and goes on doing so. */
  yields() {
    clearTimeout(this.yielding);
    if (this.mine()) return;
    this.yielding = window.setTimeout(() => {
      if (!this.camera || this.mine()) return;
      if (this.view.moving) this.yields();
      else this.follow(this.camera);
    }, OWN_MS);
  }

  /** The camera is whoever leads's. @param {Camera} camera */
  follow(camera) {
    this.view.follow(camera);
    this.looking.write();
  }

  /** Who takes hold of a shared picture leads it, where he may; who follows somebody else does not any more. */
  grab() {
    if (!this.place || this.mine()) return;
    if (!this.place.guest) this.on.ask();
    else {
      this.on.leave();
      this.place = null;
      this.looking.hear(null);
    }
  }
}
