/**
 * Owns the WebSocket: opens it, opens it again after a loss, and says all the time what it is doing.
 *
 * What goes up is one slot with the viewer's latest state (see Outbox), and an acknowledgement of each picture, by
 * itself or with the next state (see Receipts).
 * What comes down is handed on as it is; a connection is live once something has come, as a proxy may take the call
 * before it knows whether anybody is there.  The decisions are in frames.js and reconnect.js.
 */

import { HOLD_MS, Outbox, Receipts } from "./frames.js";
import { attemptAfter, NO_SEAT, Pulse, reasonOf, waitSeconds, worthTrying } from "./reconnect.js";
import { encodeAck, encodeBeat, encodeHand, encodeInput } from "./wire.js";

/** @typedef {import("./words.js").Connection} Connection */
/** @typedef {Omit<import("./wire.js").Input, "sequence"> & {at: number | null}} State at: of the event that caused it */

/** An attempt that has not been answered after this long is given up. */
const PATIENCE_MS = 10_000;
/** So often it is looked whether the other end is still there. */
const LOOK_MS = 1000;
const VIEWING = "cavecast.view";

export class Socket {
  /**
   * @param {URL} address
   * @param {string} token of the shared view; empty: none
   * @param {object} on
   * @param {(connection: Connection) => void} on.change
   * @param {() => void} on.open
   * @param {(message: ArrayBuffer) => void} on.message
   * @param {(sequence: number, at: number | null) => void} on.sent
   * @param {(sentence: string) => void} on.seatLost the place of before cannot be had again
   */
  constructor(address, token, on) {
    this.address = address;
    this.protocols = token ? [VIEWING, `view.${token}`] : [VIEWING];
    this.on = on;
    this.outbox = /** @type {Outbox<State>} */ (new Outbox());
    this.receipts = new Receipts();
    this.holding = 0;
    this.ws = /** @type {WebSocket | null} */ (null);
    this.attempt = /** @type {number | null} */ (null);
    this.openedAt = /** @type {number | null} */ (null);
    this.retryAt = 0;
    this.reason = "";
    this.timer = 0;
    this.sending = 0;
    this.closed = false;
    this.pulse = new Pulse();
    /** Why the other end will close the line, as it said itself: a proxy may not pass on what a line is closed with. */
    this.goodbye = /** @type {{code: number, reason: string} | null} */ (null);
    /** The token of our seat, with which we take it again after a loss. */
    this.seat = "";
    const awake = () => {
      if (document.visibilityState !== "visible") return;
      this.now();
      this.feel(true);
    };
    window.setInterval(() => this.feel(false), LOOK_MS);
    window.addEventListener("online", awake);
    window.addEventListener("pageshow", awake);
    document.addEventListener("visibilitychange", awake);
  }

  connect() {
    clearTimeout(this.timer);
    const again = this.attempt !== null;
    this.on.change(again ? { kind: "waiting", inSeconds: 0, reason: this.reason } : { kind: "connecting" });
    // Not in the address: that would be kept in logs.
    const ws = new WebSocket(this.address, this.seat ? [...this.protocols, `seat.${this.seat}`] : this.protocols);
    this.ws = ws;
    this.openedAt = null;
    this.goodbye = null;
    this.pulse.reset(performance.now() / 1000);
    this.receipts.reset();
    ws.binaryType = "arraybuffer";
    this.timer = window.setTimeout(() => ws.close(), PATIENCE_MS);
    ws.onopen = () => {
      clearTimeout(this.timer);
      this.on.open();
    };
    ws.onmessage = (event) => {
      this.pulse.heard(performance.now() / 1000);
      if (event.data instanceof ArrayBuffer) this.on.message(event.data);
      if (this.openedAt !== null || this.goodbye !== null || this.ws !== ws) return;
      this.openedAt = performance.now();
      this.on.change({ kind: "live" });
    };
    ws.onclose = (event) => this.lost(this.goodbye ?? event);
  }

  /** Waiting for the next attempt is cut short: the laptop has woken up, or a person asks. */
  now() {
    if (this.closed || this.ws !== null || this.attempt === null) return;
    this.connect();
  }

  /** Asks whether anybody is there, or lets go of a line that is dead. @param {boolean} awake */
  feel(awake) {
    const { ws } = this;
    if (ws?.readyState !== WebSocket.OPEN) return;
    const found = this.pulse.look(performance.now() / 1000, awake);
    if (found === "ask") ws.send(encodeBeat());
    if (found !== "dead") return;
    // A dead line does not answer a goodbye either, so that is not waited for.
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
    this.lost({ code: 1006, reason: "The renderer has not answered for a while" });
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

  /** @param {number} frame @param {number} decodeMs @param {boolean} later with the next state, if that is soon */
  acknowledge(frame, decodeMs, later) {
    this.receipts.put(frame, decodeMs, performance.now());
    clearTimeout(this.holding);
    if (later) this.holding = window.setTimeout(() => this.receipt(), HOLD_MS);
    else this.receipt();
  }

  receipt() {
    const ack = this.receipted();
    if (ack && this.ws?.readyState === WebSocket.OPEN) this.ws.send(ack);
  }

  /** @returns {ArrayBuffer | null} */
  receipted() {
    clearTimeout(this.holding);
    const shown = this.receipts.take(performance.now());
    return shown && encodeAck(shown.frame, shown.decodeMs, shown.heldMs);
  }

  /** Another shall lead the shared view. @param {number} to the viewer's number there; 0: we ask for it */
  hand(to) {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(encodeHand(to));
  }

  /** Sends what is none of these; nothing without a line. @param {ArrayBuffer} message */
  post(message) {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(message);
  }

  /** Sends what is worth sending only now; false if the line does not take it at once. @param {ArrayBuffer} message */
  idle(message) {
    const ws = this.ws;
    if (ws?.readyState !== WebSocket.OPEN || ws.bufferedAmount > 0) return false;
    ws.send(message);
    return true;
  }

  /**
   * Sends a message with the next number of the inputs' row; false if there is no line that takes it now.
   * @param {(sequence: number) => ArrayBuffer} made
   * @param {number | null} at of the event that caused it
   */
  numbered(made, at) {
    const ws = this.ws;
    if (ws?.readyState !== WebSocket.OPEN || ws.bufferedAmount > 0) return false;
    this.outbox.sequence += 1;
    ws.send(made(this.outbox.sequence));
    this.on.sent(this.outbox.sequence, at);
    return true;
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
    ws.send(encodeInput(state, this.receipted()));
    this.on.sent(state.sequence, state.at);
  }

  /** @param {{code: number, reason: string}} event */
  lost(event) {
    clearTimeout(this.timer);
    this.ws = null;
    if (this.closed) return;
    this.reason = reasonOf(event.code, event.reason, this.openedAt !== null);
    if (event.code === NO_SEAT && this.seat) {
      this.seat = "";
      this.on.seatLost(event.reason);
      this.connect();
      return;
    }
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
