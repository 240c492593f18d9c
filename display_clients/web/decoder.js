/**
 * Owns the browser's decoder of H.264: one that shows each picture at once, made anew with every change of the stream.
 *
 * Pictures that nothing comes of, because they cannot be decoded or the decoder has failed, are given back, so that
 * they can be acknowledged and others come.  What fails again and again is given up with a sentence.
 */

import { Chain, codecOf } from "./video.js";
import { ALWAYS, NEVER, THIN } from "./wire.js";

/** @typedef {import("./frames.js").Arrival} Arrival */

/** A decoder from which nothing comes for so long has failed. */
const PATIENCE_MS = 3000;
const COMMON = "avc1.42c01f";

export class Decoder {
  /**
   * @param {string} wanted `h264`, `jpeg`, or anything else: as the link is
   * @param {object} on
   * @param {(picture: VideoFrame, arrival: Arrival, started: number) => void} on.picture to be closed by whoever gets it
   * @param {(arrival: Arrival) => void} on.dropped
   * @param {(wish: number) => void} on.wish what the renderer is to be told
   * @param {(sentence: string) => void} on.failed
   */
  constructor(wanted, on) {
    this.on = on;
    this.chain = new Chain();
    this.wish = wanted === "jpeg" ? NEVER : wanted === "h264" ? ALWAYS : THIN;
    this.decoder = /** @type {VideoDecoder | null} */ (null);
    this.codec = "";
    this.pending = /** @type {Map<number, {arrival: Arrival, started: number}>} */ (new Map());
    this.watch = 0;
    /** When it is known what this browser can do. */
    this.ready = this.look();
  }

  async look() {
    if (this.wish === NEVER) return;
    try {
      const there = window.isSecureContext && typeof VideoDecoder === "function";
      if (there && (await VideoDecoder.isConfigSupported(this.configured(COMMON))).supported) return;
    } catch {
      // A browser that does not understand the question does not decode it either.
    }
    if (this.wish === ALWAYS) this.on.failed("This browser does not decode H.264 here, so pictures come as JPEG.");
    this.wish = NEVER;
  }

  /** A new connection. */
  reset() {
    this.chain.reset();
    this.close();
  }

  /** A picture of whatever codec has come; true if it is taken care of here. @param {Arrival} arrival @param {boolean} mine */
  receive(arrival, mine) {
    const found = this.chain.arrive(arrival.frame);
    if (!mine) return false;
    if (found === "ask") this.on.wish(this.wish);
    if (found !== "decode" || this.wish === NEVER) this.on.dropped(arrival);
    else this.decode(arrival);
    return true;
  }

  /** @param {Arrival} arrival */
  decode(arrival) {
    const { frame, payload } = arrival;
    const codec = codecOf(payload);
    this.pending.set(frame.frame, { arrival, started: performance.now() });
    try {
      if (codec !== null && (codec !== this.codec || !this.decoder)) this.open(codec);
      if (!this.decoder) throw new Error("there is no stream to which a picture belongs");
      const type = codec === null ? "delta" : "key";
      this.decoder.decode(new EncodedVideoChunk({ type, timestamp: frame.frame, data: payload }));
      if (!this.watch) this.watch = window.setTimeout(() => this.fail("nothing comes of it"), PATIENCE_MS);
    } catch (why) {
      this.fail(why instanceof Error ? why.message : String(why));
    }
  }

  /** @param {string} codec @returns {VideoDecoderConfig} */
  configured(codec) {
    return { codec, optimizeForLatency: true, hardwareAcceleration: "prefer-software" };
  }

  /** @param {string} codec */
  open(codec) {
    if (this.decoder?.state === "configured") this.decoder.close();
    const decoder = new VideoDecoder({
      output: (picture) => {
        if (decoder === this.decoder) this.came(picture);
        else picture.close();
      },
      error: (why) => {
        if (decoder === this.decoder) this.fail(why.message);
      },
    });
    this.decoder = decoder;
    this.codec = codec;
    decoder.configure(this.configured(codec));
  }

  /** @param {VideoFrame} picture */
  came(picture) {
    clearTimeout(this.watch);
    this.watch = 0;
    const found = this.pending.get(picture.timestamp);
    if (!found) {
      picture.close();
      return;
    }
    // Those before it have been swallowed, if any are left.
    for (const [frame, { arrival }] of [...this.pending]) {
      if (frame > picture.timestamp) continue;
      this.pending.delete(frame);
      if (frame < picture.timestamp) this.on.dropped(arrival);
    }
    this.chain.decoded();
    if (this.pending.size) this.watch = window.setTimeout(() => this.fail("nothing comes of it"), PATIENCE_MS);
    this.on.picture(picture, found.arrival, found.started);
  }

  /** @param {string} why */
  fail(why) {
    const lost = [...this.pending.values()];
    this.close();
    if (!this.chain.failed()) {
      this.wish = NEVER;
      this.on.failed(`This browser could not decode H.264 (${why.replace(/\.$/, "")}), so pictures come as JPEG.`);
    }
    for (const { arrival } of lost) this.on.dropped(arrival);
    this.on.wish(this.wish);
  }

  close() {
    clearTimeout(this.watch);
    this.watch = 0;
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.codec = "";
    this.pending.clear();
  }
}
