/**
 * Owns the WebSocket: opens it, opens it again after a loss, and says all the time what it is doing.
 *
 * What goes up is one slot with the viewer's latest state (see Outbox), and an acknowledgement for each picture.
 * What comes down is handed on as it is.  The decisions are in frames.js and reconnect.js.
 */

import { Outbox } from "./frames.js";
import { attemptAfter, reasonOf, waitSeconds, worthTrying } from "./reconnect.js";
import { encodeAck, encodeInput } from "./wire.js";

/** @typedef {import("./words.js").Connection} Connection */
/** @typedef {{width: number, height: number, moving: boolean, camera: import("./wire.js").Camera, at: number | null}} State at: of the event that caused it */

/** An attempt that has not been answered after this long is given up. */
const PATIENCE_MS = 10_000;

export class Socket {
  /**
   * @param {URL} address
   * @param {object} on
   * @param {(connection: Connection) => void} on.change
   * @param {() => void} on.open
   * @param {(message: ArrayBuffer) => void} on.message
   * @param {(sequence: number, at: number | null) => void} on.sent
   */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.outbox = /** @type {Outbox<State>} */ (new Outbox());
    this.ws = /** @type {WebSocket | null} */ (null);
    this.attempt = /** @type {number | null} */ (null);
    this.openedAt = /** @type {number | null} */ (null);
    this.retryAt = 0;
    this.reason = "";
    this.timer = 0;
    this.sending = 0;
    this.closed = false;
    const awake = () => document.visibilityState === "visible" && this.now();
    window.addEventListener("online", awake);
    window.addEventListener("pageshow", awake);
    document.addEventListener("visibilitychange", awake);
  }

  connect() {
    clearTimeout(this.timer);
    const again = this.attempt !== null;
    this.on.change(again ? { kind: "waiting", inSeconds: 0, reason: this.reason } : { kind: "connecting" });
    const ws = new WebSocket(this.address);
    this.ws = ws;
    this.openedAt = null;
    ws.binaryType = "arraybuffer";
    this.timer = window.setTimeout(() => ws.close(), PATIENCE_MS);
    ws.onopen = () => {
      clearTimeout(this.timer);
      this.openedAt = performance.now();
      this.on.change({ kind: "live" });
      this.on.open();
    };
    ws.onmessage = (event) => {
      if (event.data instanceof ArrayBuffer) this.on.message(event.data);
    };
    ws.onclose = (event) => this.lost(event);
  }

  /** Waiting for the next attempt is cut short: the laptop has woken up, or a person asks. */
  now() {
    if (this.closed || this.ws !== null || this.attempt === null) return;
    this.connect();
  }

  /** No more pictures are wanted, or none will come. @param {string} reason */
  end(reason) {
    this.closed = true;
    clearTimeout(this.timer);
    this.ws?.close(1000);
    this.on.change({ kind: "ended", reason });
  }

  /** @param {State} state the latest one; sent as soon as the link takes it */
  offer(state) {
    this.outbox.offer(state);
    this.pump();
  }

  /** @param {number} frame @param {number} decodeMs */
  acknowledge(frame, decodeMs) {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(encodeAck(frame, decodeMs));
  }

  pump() {
    clearTimeout(this.sending);
    const ws = this.ws;
    if (ws?.readyState !== WebSocket.OPEN) return;
    const due = this.outbox.due(performance.now(), ws.bufferedAmount);
    if (due === null) return;
    if (due > 0) {
      this.sending = window.setTimeout(() => this.pump(), due);
      return;
    }
    const state = this.outbox.take(performance.now());
    ws.send(encodeInput(state));
    this.on.sent(state.sequence, state.at);
  }

  /** @param {CloseEvent} event */
  lost(event) {
    clearTimeout(this.timer);
    this.ws = null;
    if (this.closed) return;
    this.reason = reasonOf(event.code, event.reason, this.openedAt !== null);
    if (!worthTrying(event.code)) {
      this.closed = true;
      this.on.change({ kind: "ended", reason: this.reason });
      return;
    }
    const stood = this.openedAt === null ? 0 : (performance.now() - this.openedAt) / 1000;
    this.attempt = attemptAfter(this.attempt, stood);
    this.retryAt = performance.now() + waitSeconds(this.attempt, Math.random()) * 1000;
    this.count();
  }

  /** Says once a second how long it still waits, then tries. */
  count() {
    const left = this.retryAt - performance.now();
    if (left <= 0) {
      this.connect();
      return;
    }
    const inSeconds = Math.ceil(left / 1000);
    this.on.change({ kind: "waiting", inSeconds, reason: this.reason });
    this.timer = window.setTimeout(() => this.count(), left - (inSeconds - 1) * 1000);
  }
}
