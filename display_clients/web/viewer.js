/**
 * The page of one run: joins the picture, its socket, the run's events and the panel.
 */

import { Appearance } from "./appearance.js";
import { Buttons } from "./buttons.js";
import { bounded } from "./camera.js";
import { stepAside } from "./colour.js";
import { centred, placeAt } from "./following.js";
import { megabytes, value } from "./format.js";
import { Hover } from "./hover.js";
import { choose, oneColour, sound } from "./look.js";
import { Lead } from "./lead.js";
import { Looking } from "./looking.js";
import { Meter } from "./meter.js";
import { leftOut } from "./objects.js";
import { at, inOneColour } from "./page.js";
import { Panel, say } from "./panel.js";
import { Present } from "./present.js";
import { Follower, LIMIT_OF_ALL } from "./run.js";
import { Selected } from "./selected.js";
import { Socket } from "./socket.js";
import { Sparks } from "./sparks.js";
import { ChunkStrip } from "./strip.js";
import { ObjectsTable } from "./table.js";
import { keptToken } from "./token.js";
import { Timeline } from "./timeline.js";
import { Take } from "./take.js";
import { Troubles } from "./troubles.js";
import { View } from "./view.js";
import { Wall } from "./wall.js";
import { cameraOf, decodeFrame, encodeVideo, H264, NEVER, NOTE, PNG, Refused, STILL } from "./wire.js";
import { ageInWords, chunksInWords, isSlow, pictureState, unwell } from "./words.js";

/** @typedef {import("./words.js").Run} Run */
/**
 * Where one stands in a shared view: one's number, whose lead it is (0: nobody's), how many look, and its camera;
 * guest: one has not come to it by oneself, but follows; set: counts what was set from outside, and where one leads and has
 * not taken that over, camera and look are there too.
 * @typedef {{you: number, lead: number, viewers: number, guest?: boolean, set?: number, camera?: import("./wire.js").Camera, look?: unknown}} Place
 */

/**
 * What the renderer says besides pictures; each note holds some of it.
 * @typedef {object} Note
 * @property {string} [seat] the token with which one comes back to the same view
 * @property {{code: number, why: string}} [goodbye] the line will be closed with that
 * @property {number} [pointed] the number of a question that is answered
 * @property {import("./hover.js").Found | null} [found]
 * @property {string} [text] what is wrong, if anything
 * @property {boolean} [settled]
 * @property {Parameters<typeof stepAside>[0]} [turns]
 * @property {Place | null} [view]
 * @property {number[]} [half]
 * @property {Record<string, [number, number]>} [bounds] the least and the largest coordinate along the scene's x, y, z
 * @property {import("./looking.js").Facts["when"]} [when]
 * @property {import("./looking.js").Facts["field"]} [field]
 */

/** A sentence about something that is over stands for so long. */
const SAID_MS = 20_000;

export class Viewer {
  /** @param {string} id of the run @param {URL} api */
  constructor(id, api) {
    const address = new URL(`runs/${encodeURIComponent(id)}`, api);
    const picture = new URL(`${address.href}/view`);
    picture.protocol = picture.protocol === "https:" ? "wss:" : "ws:";
    const shared = new URLSearchParams(location.search).get("view");
    if (shared) picture.searchParams.set("view", shared);
    this.seatSaid = 0;
    this.id = id;
    this.run = /** @type {Run | null} */ (null);
    this.troubles = new Troubles(() => this.view.hasPicture);
    this.meter = new Meter();
    this.panel = new Panel(() => this.looking.write());
    this.settled = true;
    this.still = false;
    this.committed = -1;
    this.committedAt = performance.now();
    this.table = new ObjectsTable(at("objects-table"), at("objects-caption"), (one, besides) => this.choose(one, besides), new Sparks(address, at("objects-scroll")), (all) => this.follower.want(all));
    this.strip = new ChunkStrip(at("chunks-strip"), (shares) => this.goTo(shares));
    this.view = new View(at("picture"), {
      change: (when) => {
        this.socket?.offer({ ...this.view.state(), at: when });
        this.lead?.yields();
        this.looking?.write();
        this.wall?.changed();
      },
      grab: () => this.lead.grab(),
      shown: ({ frame }) => this.shown(frame),
      acknowledge: (frame, decodeMs, later) => this.socket.acknowledge(frame, decodeMs, later),
      trouble: (text) => this.troubles.complain("picture", text),
      video: (wish) => this.socket.post(encodeVideo(wish)),
      noVideo: (text) => this.troubles.complain("video", text),
    }, new URLSearchParams(location.search).get("codec") ?? "");
    this.socket = new Socket(picture, keptToken(`cavecast.token ${address.pathname} ${shared ?? ""}`), {
      change: (connection) => this.troubles.connected(connection),
      open: () => this.opened(),
      message: (message) => this.received(message),
      seatLost: (why) => {
        this.troubles.complain("seat", `Your place in the view is not kept: ${why}.`);
        clearTimeout(this.seatSaid);
        this.seatSaid = window.setTimeout(() => this.troubles.complain("seat", ""), SAID_MS);
      },
      sent: (sequence, when) => {
        this.view.canvas.dataset.asked = String(sequence);
        if (when !== null && this.lead.mine()) this.meter.input(sequence, when);
      },
    });
    this.looking = new Looking(this.socket, this.view, {
      change: (look) => this.looks(look),
      grab: () => this.lead.grab(),
      unfold: (open) => this.panel.unfold(open),
      unfolded: () => this.panel.chosen,
    });
    this.lead = new Lead(this.view, this.looking, { ask: () => this.socket.hand(0), leave: () => this.present.leave() });
    this.present = new Present(this.socket, at("picture"), {
      go: (camera, look) => this.go(camera, look),
      open: () => this.opens(this.present),
    });
    this.wall = new Wall(address, {
      seen: () => ({ camera: this.view.camera, look: this.looking.look }),
      show: (camera, look, grab) => this.go(camera, look, grab),
      leads: () => this.lead.mine(),
    });
    this.take = new Take(address, id, this.view, () => this.looking.look, (text) => this.troubles.complain("take", text), () => this.opens(this.take));
    this.timeline = new Timeline(this.looking, () => this.lead.mine());
    this.appearance = new Appearance(this.looking, () => this.opens(this.appearance));
    this.selected = new Selected(address, this.looking, {
      go: (step) => this.timeline.go(step),
      play: (life) => this.timeline.play(life),
      stop: () => this.timeline.stop(),
      aim: (place) => this.keepInMiddle(place),
    });
    this.hover = new Hover(at("picture"), at("tip"), {
      ask: (message) => this.socket.post(message),
      choose: (one, besides) => this.choose(one, besides),
    });
    for (const link of at("downloads").querySelectorAll("a")) link.href = `${address.href}/objects?limit=${LIMIT_OF_ALL}&format=${link.dataset.format}`;
    this.follower = new Follower(address, {
      run: (run) => this.heard(run),
      objects: (page) => {
        this.table.fill(page);
        say("downloads-said", leftOut(page.total, LIMIT_OF_ALL));
      },
      unavailable: (text) => say("objects-caption", text),
      chunks: (chunks) => this.strip.fill(chunks),
      trouble: (text) => this.troubles.complain("numbers", text),
      missing: (text) => this.missing(text),
    });
    this.buttons = new Buttons(this.view, {
      id,
      link: () => this.looking.link(),
      ask: () => this.socket.offer({ ...this.view.state(), at: null }),
      retry: () => this.socket.now(),
      search: (words) => this.table.search(words),
      cancel: () => this.follower.cancel(),
      trouble: (text) => this.troubles.complain("cancel", text),
    });
    this.remember(`cavecast.camera ${address.pathname} ${shared ?? ""}`);
  }

  /** A page that is loaded anew shows what it showed. @param {string} name */
  remember(name) {
    const kept = cameraOf(sessionStorage.getItem(name));
    if (kept) this.view.follow(kept);
    window.addEventListener("pagehide", () => {
      if (this.view.fitted) sessionStorage.removeItem(name);
      else sessionStorage.setItem(name, JSON.stringify(this.view.camera));
    });
  }

  start() {
    this.looking.open();
    this.view.resized();
    this.socket.connect();
    this.follower.start();
    window.setInterval(() => this.truth(), 500);
  }

  /** Of what lies over the picture one is open at a time. @param {Present | Appearance | Take} one */
  opens(one) {
    for (const other of [this.present, this.appearance]) if (other !== one) other.open(false, false);
    if (this.take !== one) this.take.open(false);
  }

  // ------------------------------------------------------------------ the picture

  opened() {
    this.view.reset();
    this.meter.forget();
    this.troubles.complain("note", "");
    this.hover.opened();
    this.looking.opened();
    this.present.opened();
    this.socket.offer({ ...this.view.state(), at: null });
    const { decoder } = this.view;
    decoder.ready.then(() => decoder.wish !== NEVER && this.socket.post(encodeVideo(decoder.wish)));
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
      this.troubles.complain("picture", `The renderer sent ${why.message}.`);
    }
  }

  /**
   * A note about the scene: its `text` says what is wrong, if anything.  It is no picture, so it is not acknowledged.
   * @param {Uint8Array} payload
   */
  noted(payload) {
    let note = /** @type {Note | null} */ (null);
    try {
      note = JSON.parse(new TextDecoder().decode(payload));
    } catch {
      note = { text: "The renderer sent a note that is not JSON." };
    }
    if (typeof note?.seat === "string") {
      this.socket.seat = note.seat;
      return;
    }
    if (typeof note?.goodbye?.code === "number") {
      this.socket.goodbye = { code: note.goodbye.code, reason: String(note.goodbye.why) };
      return;
    }
    if (typeof note?.pointed === "number") {
      this.hover.answered(note.pointed, note.found ?? null);
      return;
    }
    if (this.present.hear(note)) return;
    if (typeof note?.text === "string") this.troubles.complain("note", note.text);
    this.settled = note?.settled !== false;
    if (note?.turns) stepAside(note.turns);
    const place = note?.view ?? null;
    const led = this.lead.hear(place);
    this.looking.hear(led?.look ?? null);
    if (place && !led) this.takeOver(place);
    this.present.follow(place?.guest === true);
    const { facts } = this.looking;
    if (note?.half) facts.half = note.half;
    if (note?.bounds) facts.ends = Object.values(note.bounds);
    if (note?.when) facts.when = note.when;
    if (note?.when) facts.field = note.field ?? null;
    this.looks(this.looking.look);
  }

  /** What was set from outside while one leads is one's own from now on. @param {Place} place */
  takeOver({ set, camera, look }) {
    if (!set || !look) return;
    if (camera) this.view.follow(camera);
    this.looking.take(look);
    this.present.taken(set);
  }

  /** The look, or what it meets, is other than before. @param {import("./look.js").Look} look */
  looks(look) {
    inOneColour(oneColour(look));
    this.timeline.show();
    this.appearance.show();
    this.selected.show();
    this.table.mark(look.selected);
    this.wall.changed();
  }

  /** Somebody chooses an object, or (null) nothing. @param {number | null} one @param {boolean} besides */
  choose(one, besides) {
    this.looking.change(choose(this.looking.look, one, besides));
  }

  /**
   * Somebody wants to look at a place: the camera turns to it, and on the Earth time goes there too.
   * @param {[number, number, number]} shares of the volume along (z, y, x)
   */
  goTo([z, y, x]) {
    const { look, facts } = this.looking;
    const descending = this.run?.y_descending ?? false;
    if (look.mode !== "cube") {
      this.timeline.go(Math.floor(z * (this.timeline.last + 1)));
      const place = placeAt([z, y, x], this.room(), descending);
      if (place) this.keepInMiddle(place);
      return;
    }
    const up = descending ? -1 : 1;
    this.lead.grab();
    const [hx, hy, hz] = facts.half;
    const target = /** @type {[number, number, number]} */ ([(2 * x - 1) * hx, up * (2 * y - 1) * hy, (2 * z - 1) * hz]);
    this.view.move({ ...this.view.camera, target }, performance.now());
  }

  /** What is looked at is there now. @param {import("./following.js").Place} place */
  keepInMiddle(place) {
    if (!this.lead.mine()) return;
    const room = this.room();
    if (room.ends.length === 3) this.view.move(centred(this.view.camera, this.looking.look.mode, place, room), performance.now());
  }

  /** @returns {import("./following.js").Room} */
  room() {
    const { half, ends } = this.looking.facts;
    return { half, ends, steps: this.timeline.last + 1 };
  }

  /**
   * What is seen elsewhere is to be seen here.
   * @param {unknown} camera null: the one that there is
   * @param {unknown} look
   * @param {boolean} [grab] somebody wants it so
   */
  go(camera, look, grab = true) {
    const there = cameraOf(JSON.stringify(camera));
    if (grab) this.lead.grab();
    this.looking.change(sound(look), performance.now(), grab);
    if (there) this.view.move(bounded(there), performance.now());
  }

  /** @param {import("./wire.js").Frame} frame */
  shown(frame) {
    this.meter.shown(frame.input, performance.now(), frame.renderMs);
    this.still = Boolean(frame.flags & STILL);
    const lossless = this.still && frame.codec === PNG;
    this.buttons.shown(lossless);
    const { dataset } = this.view.canvas;
    dataset.frame = String(frame.frame);
    dataset.input = String(frame.input);
    dataset.still = String(this.still);
    dataset.lossless = String(lossless);
    dataset.position = String(frame.position);
    if (!this.still) dataset.video = String(frame.codec === H264);
    this.troubles.complain("picture", "");
    if (!at("waiting").hidden) this.troubles.refresh();
    this.hover.pump();
  }

  // ------------------------------------------------------------------ the panel

  /** @param {Run} run */
  heard(run) {
    const first = this.run === null;
    this.run = this.troubles.run = run;
    if (this.committed !== run.status?.committed) this.committedAt = performance.now();
    this.committed = run.status?.committed ?? -1;
    this.panel.describe(run);
    this.strip.turn(run.y_descending ?? false);
    this.strip.say(chunksInWords(run.status));
    this.table.describe(run);
    this.take.describe(run);
    this.timeline.describe(run);
    this.appearance.describe(run);
    this.selected.describe(run);
    this.wall.describe(run);
    if (first) this.panel.nameViews(run);
    if (first && run.view_url === null) this.socket.end("This run was started without a view, so there is no picture");
    if (!this.view.hasPicture) this.troubles.refresh();
  }

  /** @param {string} text */
  missing(text) {
    this.socket.end(text);
    this.panel.missing(this.id, text);
  }

  /** What the stream really delivers, twice a second. */
  truth() {
    const rate = this.meter.rate(performance.now());
    const latency = this.meter.latency(performance.now());
    const ageS = (performance.now() - this.committedAt) / 1000;
    const wrong = unwell(this.run, { latency, ageS });
    say("unwell", wrong);
    const parts = [
      rate !== null ? `${value(rate)} frames/s` : pictureState(this.view.hasPicture, this.still && this.settled),
      latency === null ? "" : `${Math.round(latency.ms)} ms input → picture`,
      megabytes(this.meter.bytes),
      ageInWords(this.run, ageS),
      !this.still && this.view.canvas.dataset.video === "true" ? "H.264" : "",
    ];
    const told = parts.filter(Boolean).join(" · ");
    say("truth", told);
    this.troubles.health(wrong, told, isSlow(latency));
  }
}
