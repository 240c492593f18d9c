/**
 * Owns the canvas: what the pointer, the wheel, the fingers and the keys do to the camera, and the picture itself.
 *
 * It keeps the camera; whenever that or the size changes, it says so with the time of the event that caused it.
 * Moving ends a moment after the last change, so that the renderer may then refine the picture.
 */

import * as turn from "./camera.js";
import { Decoder } from "./decoder.js";
import { Frames } from "./frames.js";
import { within } from "./video.js";
import { DEGRADED, H264, LATER, PNG } from "./wire.js";

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {import("./frames.js").Arrival} Arrival */
/** @typedef {{x: number, y: number}} Point from the picture's middle, in CSS pixels, y down */

/** After wheel and keys, the view counts as moving for this long. */
const REST_MS = 160;

export class View {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} on
   * @param {(at: number | null) => void} on.change the camera, the size or whether it moves, because of an event at `at`
   * @param {() => void} on.grab somebody takes hold of the picture
   * @param {(arrival: Arrival) => void} on.shown
   * @param {(frame: number, decodeMs: number, later: boolean) => void} on.acknowledge later: it may come with the next input, if one is expected
   * @param {(sentence: string) => void} on.trouble
   * @param {(wish: number) => void} on.video what can be made of H.264 here, or that some of it was lost
   * @param {(sentence: string) => void} on.noVideo
   * @param {string} codec that is wanted while something moves
   */
  constructor(canvas, on, codec) {
    this.canvas = canvas;
    this.on = on;
    this.frames = new Frames();
    /** The number of the newest picture that is or was on the canvas. */
    this.painted = 0;
    this.decoder = new Decoder(codec, {
      picture: (picture, arrival, started) => this.decoded(picture, arrival, started),
      dropped: (arrival) => this.on.acknowledge(arrival.frame.frame, 0, false),
      wish: (wish) => this.on.video(wish),
      failed: (sentence) => this.on.noVideo(sentence),
    });
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.fingers = /** @type {Map<number, Point>} */ (new Map());
    this.panning = false;
    this.moving = false;
    /** Whether somebody keeps the picture that comes: it is to be without loss. */
    this.exact = false;
    this.hasPicture = false;
    this.resting = 0;
    this.generation = 0;
    this.pointer = /** @type {[number, number] | null} */ (null);
    this.camera = turn.fit(this.box());
    this.fitted = true;
    this.size = turn.pictureSize(this.box(), window.devicePixelRatio || 1);
    this.listen();
    new ResizeObserver(() => this.resized()).observe(canvas);
  }

  /** The canvas in CSS pixels. */
  box() {
    return { width: Math.max(1, this.canvas.clientWidth), height: Math.max(1, this.canvas.clientHeight) };
  }

  /** @returns {Omit<import("./wire.js").Input, "sequence">} */
  state() {
    const ratio = this.size.width / this.box().width;
    return { ...this.size, moving: this.moving, camera: this.camera, ratio, pointer: this.pointer, exact: this.exact };
  }

  // ------------------------------------------------------------------ pictures

  /** A new connection: what was on its way on the old one is of no interest. */
  reset() {
    this.generation += 1;
    this.frames.reset();
    this.decoder.reset();
    this.painted = 0;
  }

  /** @param {Arrival} arrival */
  receive(arrival) {
    if (this.decoder.receive(arrival, arrival.frame.codec === H264)) return;
    const next = this.frames.arrive(arrival);
    if (next) this.show(next);
  }

  /** @param {Arrival} first */
  async show(first) {
    const generation = this.generation;
    for (let now = /** @type {Arrival | null} */ (first); now !== null; ) {
      const started = performance.now();
      try {
        const type = now.frame.codec === PNG ? "image/png" : "image/jpeg";
        const picture = await createImageBitmap(new Blob([/** @type {BlobPart} */ (now.payload)], { type }));
        if (generation === this.generation) this.paint(picture, picture, now);
        picture.close();
      } catch (why) {
        this.on.trouble(`Picture ${now.frame.frame} could not be decoded (${why instanceof Error ? why.message : why}).`);
      }
      if (generation !== this.generation) return;
      const decodeMs = performance.now() - started;
      const { acks, next } = this.frames.settle();
      const newest = acks.at(-1); // it speaks for those before it
      if (newest !== undefined) this.on.acknowledge(newest, decodeMs, this.later(now));
      now = next;
    }
  }

  /** @param {VideoFrame} picture @param {Arrival} arrival @param {number} started */
  decoded(picture, arrival, started) {
    const decoded = { width: picture.displayWidth, height: picture.displayHeight };
    this.paint(picture, within(decoded, arrival.frame), arrival);
    picture.close();
    this.on.acknowledge(arrival.frame.frame, performance.now() - started, this.later(arrival));
  }

  /** Whether the next input says soon enough that a picture was shown. @param {Arrival} arrival */
  later(arrival) {
    return this.moving && (arrival.frame.flags & LATER) > 0;
  }

  /**
   * @param {ImageBitmap | VideoFrame} picture
   * @param {{width: number, height: number}} of how much of it is to be seen, from the upper left
   * @param {Arrival} arrival
   */
  paint(picture, of, arrival) {
    const { canvas } = this;
    if (arrival.frame.frame <= this.painted) return; // two decoders are at work, and the other was quicker
    this.painted = arrival.frame.frame;
    // A picture of fewer pixels, while something moves, is spread: a canvas of another size would be made anew.
    const { width, height } = arrival.frame.flags & DEGRADED ? this.size : of;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    this.context.drawImage(picture, 0, 0, of.width, of.height, 0, 0, width, height);
    this.hasPicture = true;
    this.on.shown(arrival);
  }

  /** What is on the canvas as a PNG. @returns {Promise<Blob>} */
  screenshot() {
    return new Promise((resolve, reject) =>
      this.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser made no picture"))), "image/png"),
    );
  }

  // ------------------------------------------------------------------ the camera

  fit() {
    this.move(turn.fit(this.box()), performance.now());
    this.fitted = true;
  }

  /** Along an axis; once more, and it is seen from the other side. @param {0 | 1 | 2} axis @param {boolean} [behind] */
  along(axis, behind) {
    const there = turn.along(axis, this.box());
    const back = behind ?? (Math.abs(there.azimuth - this.camera.azimuth) + Math.abs(there.elevation - this.camera.elevation) < 1e-6);
    this.move(back ? turn.along(axis, this.box(), true) : there, performance.now());
    this.fitted = true;
  }

  /** The camera stands there, as a link says. @param {Camera} camera */
  aim(camera) {
    this.camera = camera;
    this.fitted = false;
    this.on.change(null);
  }

  /** Somebody else has moved the camera. @param {Camera} camera */
  follow(camera) {
    if (this.moving) return;
    this.camera = camera;
    this.fitted = false;
  }

  /**
   * The camera moves, for a moment unless a finger or a button is down.
   * @param {Camera} camera
   * @param {number} at
   */
  move(camera, at) {
    this.camera = camera;
    this.fitted = false;
    this.moving = true;
    clearTimeout(this.resting);
    if (!this.fingers.size) this.resting = window.setTimeout(() => this.rest(performance.now()), REST_MS);
    this.on.change(at);
  }

  /** @param {number} at */
  rest(at) {
    clearTimeout(this.resting);
    if (!this.moving) return;
    this.moving = false;
    this.on.change(at);
  }

  resized() {
    const box = this.box();
    const size = turn.pictureSize(box, window.devicePixelRatio || 1);
    if (size.width === this.size.width && size.height === this.size.height) return;
    this.size = size;
    // A view that nobody has moved stays fitted; one that somebody has chosen is left alone.
    if (this.fitted) this.camera = { ...this.camera, distance: turn.fitDistance(box) };
    this.on.change(null);
  }

  // ------------------------------------------------------------------ what people do

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => this.up(/** @type {PointerEvent} */ (event)));
    }
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("dblclick", () => this.fit());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** @param {MouseEvent} event @returns {Point} */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button > 2 || this.fingers.size >= 2) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.on.grab();
    this.fingers.set(event.pointerId, this.point(event));
    this.panning = event.button !== 0 || event.shiftKey;
    this.canvas.classList.add("grabbed");
    if (event.button === 1) event.preventDefault(); // no auto-scroll
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const from = this.fingers.get(event.pointerId);
    if (!from) return;
    const to = this.point(event);
    if (from.x === to.x && from.y === to.y) return;
    const box = this.box();
    this.pointer = /** @type {[number, number]} */ ([0.5 + to.x / box.width, 0.5 + to.y / box.height]);
    const before = [...this.fingers.values()];
    this.fingers.set(event.pointerId, to);
    const after = [...this.fingers.values()];
    this.move(this.dragged(before, after), event.timeStamp);
  }

  /** @param {Point[]} before @param {Point[]} after @returns {Camera} */
  dragged(before, after) {
    const box = this.box();
    if (before.length === 2) return turn.pinch(this.camera, [before[0], before[1]], [after[0], after[1]], box);
    const [dx, dy] = [after[0].x - before[0].x, after[0].y - before[0].y];
    return this.panning ? turn.pan(this.camera, dx, dy, box) : turn.orbit(this.camera, dx, dy, box);
  }

  /** @param {PointerEvent} event */
  up(event) {
    if (!this.fingers.delete(event.pointerId) || this.fingers.size) return;
    this.canvas.classList.remove("grabbed");
    this.rest(event.timeStamp);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    this.on.grab();
    const factor = turn.wheelFactor(event.deltaY, event.deltaMode);
    this.move(turn.zoom(this.camera, factor, this.point(event), this.box()), event.timeStamp);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const axis = ["z", "y", "x"].indexOf(event.key.toLowerCase());
    if (axis >= 0) {
      this.on.grab();
      this.along(/** @type {0 | 1 | 2} */ (axis), event.shiftKey);
    }
    const camera = turn.press(this.camera, event.key, event.shiftKey, this.box());
    if (!camera) return;
    event.preventDefault();
    this.on.grab();
    this.move(camera, event.timeStamp);
    this.fitted = event.key === "0" || event.key.toLowerCase() === "r";
  }
}
