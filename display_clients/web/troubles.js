/**
 * Owns what is said where something is wrong or still awaited: of the connection, of the picture, of anything else.
 */

import { at } from "./page.js";
import { say } from "./panel.js";
import { pill, spoken, trouble, waitingText } from "./words.js";

/** @typedef {import("./words.js").Run} Run */
/** @typedef {import("./words.js").Connection} Connection */

export class Troubles {
  /** @param {() => boolean} hasPicture whether there is a picture to be seen */
  constructor(hasPicture) {
    this.hasPicture = hasPicture;
    this.run = /** @type {Run | null} */ (null);
    this.connection = /** @type {Connection} */ ({ kind: "connecting" });
    this.slow = false;
    this.complaints = /** @type {Record<string, string>} */ ({});
  }

  /** @param {Connection} connection */
  connected(connection) {
    this.connection = connection;
    at("connection").dataset.kind = connection.kind;
    say("connection-text", pill(connection, this.slow));
    say("connection-said", spoken(connection));
    this.refresh();
  }

  /**
   * How well the stream does, which the pill says too: it is there when the panel is not.
   * @param {string} wrong a sentence; empty if all is well
   * @param {string} told in figures
   * @param {boolean} slow what one does is seen late
   */
  health(wrong, told, slow) {
    this.slow = slow;
    say("connection-text", pill(this.connection, slow));
    at("connection").title = [wrong, told].filter(Boolean).join(" ");
    at("connection").classList.toggle("unwell", wrong !== "");
  }

  /** Something is wrong, or (with an empty text) no longer. @param {string} about @param {string} text */
  complain(about, text) {
    if ((this.complaints[about] ?? "") === text) return;
    this.complaints[about] = text;
    this.refresh();
  }

  refresh() {
    const seen = this.hasPicture();
    const waiting = waitingText(this.run, this.connection);
    at("waiting").hidden = seen;
    at("waiting").dataset.kind = this.connection.kind;
    at("waiting-way").hidden = this.connection.kind !== "ended";
    say("waiting-heading", waiting.heading);
    say("waiting-detail", waiting.detail);
    const lost = seen ? trouble(this.connection, true) : "";
    const complaints = Object.values(this.complaints).filter(Boolean).join(" ");
    say("trouble-text", lost);
    say("complaints", complaints);
    at("trouble").hidden = !lost && !complaints;
    at("retry").hidden = this.connection.kind !== "waiting";
    at("stage").classList.toggle("stale", seen && this.connection.kind !== "live");
  }
}
