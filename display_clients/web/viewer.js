/**
 * The page of one run: joins the picture, its socket, the run's events and the panel, and owns the panel's text.
 */

import { count, duration, megabytes, shape, short, value } from "./format.js";
import { Meter } from "./meter.js";
import { Follower } from "./run.js";
import { Socket } from "./socket.js";
import { ChunkStrip } from "./strip.js";
import { ObjectsTable } from "./table.js";
import { View } from "./view.js";
import { stepAside } from "./colour.js";
import { decodeFrame, NOTE, Refused, STILL } from "./wire.js";
import { axisView, badge, chunksInWords, criterion, fraction, isOver, pictureState, pill, remarks, sentence, spoken, trouble, waitingText } from "./words.js";

/** @typedef {import("./words.js").Run} Run */
/** @typedef {import("./words.js").Connection} Connection */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/** Changes text only where it differs, so that live regions speak only of news. @param {string} id @param {string} text */
function say(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

const NARROW = matchMedia("(max-width: 720px)");

export class Viewer {
  /** @param {string} id of the run @param {URL} api */
  constructor(id, api) {
    const address = new URL(`runs/${encodeURIComponent(id)}`, api);
    const picture = new URL(`${address.href}/view`);
    picture.protocol = picture.protocol === "https:" ? "wss:" : "ws:";
    this.id = id;
    this.run = /** @type {Run | null} */ (null);
    this.connection = /** @type {Connection} */ ({ kind: "connecting" });
    this.complaints = /** @type {Record<string, string>} */ ({});
    this.meter = new Meter();
    this.settled = true;
    this.still = false;
    this.table = new ObjectsTable(at("objects-table"), at("objects-caption"));
    this.strip = new ChunkStrip(at("chunks-strip"));
    this.view = new View(at("picture"), {
      change: (when) => this.socket.offer({ ...this.view.state(), at: when }),
      shown: ({ frame }) => this.shown(frame),
      acknowledge: (frame, decodeMs) => this.socket.acknowledge(frame, decodeMs),
      trouble: (text) => this.complain("picture", text),
    });
    this.socket = new Socket(picture, {
      change: (connection) => this.connected(connection),
      open: () => this.opened(),
      message: (message) => this.received(message),
      sent: (sequence, when) => when !== null && this.meter.input(sequence, when),
    });
    this.follower = new Follower(address, {
      run: (run) => this.heard(run),
      objects: (page) => this.table.fill(page),
      unavailable: (text) => say("objects-caption", text),
      chunks: (chunks) => this.strip.fill(chunks),
      trouble: (text) => this.complain("numbers", text),
      missing: (text) => this.missing(text),
    });
    this.buttons();
  }

  start() {
    this.panel(!NARROW.matches || innerHeight > 700);
    this.socket.connect();
    this.follower.start();
    window.setInterval(() => this.truth(), 500);
  }

  // ------------------------------------------------------------------ the picture

  opened() {
    this.view.reset();
    this.meter.forget();
    this.complain("note", "");
    this.socket.offer({ ...this.view.state(), at: null });
  }

  /** @param {ArrayBuffer} message */
  received(message) {
    this.meter.received(message.byteLength);
    try {
      const { frame, payload } = decodeFrame(message);
      if (frame.codec === NOTE) this.noted(payload);
      else this.view.receive({ frame, payload, arrived: performance.now() });
    } catch (why) {
      if (!(why instanceof Refused)) throw why;
      this.complain("picture", `The renderer sent ${why.message}.`);
    }
  }

  /**
   * A note about the scene: its `text` says what is wrong, if anything.  It is no picture, so it is not acknowledged.
   * @param {Uint8Array} payload
   */
  noted(payload) {
    let note = /** @type {{text?: unknown, settled?: unknown, turns?: Record<string, number>}} */ ({});
    try {
      note = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      note = { text: "The renderer sent a note that is not JSON." };
    }
    if (typeof note?.text === "string") this.complain("note", note.text);
    this.settled = note?.settled !== false;
    if (note?.turns) stepAside(note.turns);
  }

  /** @param {import("./wire.js").Frame} frame */
  shown(frame) {
    this.meter.shown(frame.input, performance.now());
    this.still = Boolean(frame.flags & STILL);
    const { dataset } = this.view.canvas;
    dataset.frame = String(frame.frame);
    dataset.input = String(frame.input);
    dataset.position = String(frame.position);
    if (this.complaints.picture) this.complain("picture", "");
    if (!at("waiting").hidden) this.refreshTrouble();
  }

  /** @param {Connection} connection */
  connected(connection) {
    this.connection = connection;
    at("connection").dataset.kind = connection.kind;
    say("connection-text", pill(connection));
    say("connection-said", spoken(connection));
    this.refreshTrouble();
  }

  /** Something is wrong, or (with an empty text) no longer. @param {string} about @param {string} text */
  complain(about, text) {
    if ((this.complaints[about] ?? "") === text) return;
    this.complaints[about] = text;
    this.refreshTrouble();
  }

  refreshTrouble() {
    const seen = this.view.hasPicture;
    const waiting = waitingText(this.run, this.connection);
    at("waiting").hidden = seen;
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

  // ------------------------------------------------------------------ the panel

  /** @param {Run} run */
  heard(run) {
    const first = this.run === null;
    const status = run.status;
    const over = isOver(run);
    this.run = run;
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
    this.strip.turn(run.y_descending ?? false);
    this.strip.say(chunksInWords(status));
    say("objects-count", status?.chunks ? count(status.objects) : "–");
    say("chunks-count", status?.chunks ? `${count(status.committed)} / ${count(status.chunks)}` : "–");
    say("speed", status?.voxels_per_second ? short(status.voxels_per_second) : "–");
    say("eta-label", over ? "Took" : "Left");
    say("eta", over ? duration(status?.seconds) : duration(status?.eta_s));
    at("cancel").hidden = over;
    this.remark(remarks(run));
    this.table.describe(run);
    if (first) this.nameViews(run);
    if (first && run.view_url === null) this.socket.end("This run was started without a view, so there is no picture");
    if (!this.view.hasPicture) this.refreshTrouble();
  }

  /** @param {string[]} texts */
  remark(texts) {
    if (at("remarks").dataset.text === texts.join()) return;
    at("remarks").dataset.text = texts.join();
    at("remarks").replaceChildren(
      ...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
    );
  }

  /** @param {Run} run */
  nameViews(run) {
    for (const axis of [0, 1, 2]) {
      const { name, hint } = axisView(run.dims ?? [], axis, run.on_sphere);
      at(`along-${axis}`).textContent = name;
      at(`along-${axis}`).title = hint;
    }
  }

  /** @param {string} text */
  missing(text) {
    this.socket.end(text);
    say("title", "No such run");
    say("facts", this.id);
    say("badge", "Unknown");
    say("sentence", text);
    at("cancel").hidden = true;
  }

  /** What the stream really delivers, twice a second. */
  truth() {
    const rate = this.meter.rate(performance.now());
    const latency = this.meter.latency();
    const parts = [
      rate !== null ? `${value(rate)} frames/s` : pictureState(this.view.hasPicture, this.still && this.settled),
      latency === null ? "" : `${Math.round(latency)} ms input → picture`,
      megabytes(this.meter.bytes),
    ];
    say("truth", parts.filter(Boolean).join(" · "));
  }

  /** @param {boolean} open */
  panel(open) {
    document.body.classList.toggle("closed", !open);
    at("panel-body").inert = !open;
    at("toggle").setAttribute("aria-expanded", String(open));
    at("toggle").title = open ? "Hide the panel" : "Show the panel";
  }

  buttons() {
    at("fit").addEventListener("click", () => this.view.fit());
    for (const axis of /** @type {const} */ ([0, 1, 2])) {
      at(`along-${axis}`).addEventListener("click", () => this.view.along(axis));
    }
    at("toggle").addEventListener("click", () => this.panel(document.body.classList.contains("closed")));
    at("retry").addEventListener("click", () => this.socket.now());
    at("screenshot").addEventListener("click", () => this.screenshot());
    at("cancel").addEventListener("click", () => at("ask-cancel").showModal());
    at("keep-running").addEventListener("click", () => at("ask-cancel").close());
    at("cancel-really").addEventListener("click", () => {
      at("ask-cancel").close();
      this.cancel();
    });
  }

  async screenshot() {
    if (!this.view.hasPicture) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await this.view.screenshot());
    const when = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
    link.download = `cavecast-${this.id}-${when}.png`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async cancel() {
    at("cancel").disabled = true;
    try {
      await this.follower.cancel();
      this.complain("cancel", "");
    } catch (why) {
      this.complain("cancel", `The run could not be cancelled: ${why instanceof Error ? why.message : why}.`);
    }
    at("cancel").disabled = false;
  }
}
