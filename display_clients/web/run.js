/**
 * Follows one run: its events, and what of its objects and chunks has changed since they were last asked for.
 *
 * The events come by EventSource.  Objects and chunks are asked for when the status says that they are other
 * than before, at most once a second, and once more when the run has ended.
 */

import { Pace } from "./pace.js";
import { waitSeconds } from "./reconnect.js";
import { isOver } from "./words.js";

/** @typedef {import("./words.js").Run} Run */
/** @typedef {{total: number, objects: import("./objects.js").ObjectRow[]}} ObjectPage */
/** @typedef {{counts: number[], states: number[]}} Chunks */

/** So many objects are asked for, the largest; and if somebody looks for others, so many and more seldom. */
export const LIMIT = 200, LIMIT_OF_ALL = 10_000;
const OFTEN_MS = 1000, SELDOM_MS = 5000;
/** What is not answered after so long never will be: cancelling a run, the slowest, takes half of it at most. */
const PATIENCE_MS = 60_000;
/** After the end of a run, so often is asked for what did not come. */
const TRIES = 4;

/** The server said no, and why. */
export class Answer extends Error {
  /** @param {number} status @param {string} sentence @param {string[]} [variables] of which one has to be named */
  constructor(status, sentence, variables = []) {
    super(sentence);
    this.status = status;
    this.variables = variables;
  }
}

/**
 * Asks the control plane.  A window hears "signed-out" if it wants to know who one is.  Throws Answer if it says no, TypeError if it cannot be reached, DOMException if it is silent.
 * @param {URL} address
 * @param {RequestInit} [how]
 * @param {number} [patienceMs]
 * @returns {Promise<unknown>} what came, as JSON has it
 */
export async function ask(address, how, patienceMs = PATIENCE_MS) {
  const signal = AbortSignal.timeout(patienceMs);
  const response = await fetch(address, { headers: { Accept: "application/json" }, signal, ...how });
  if (response.ok) return response.json();
  throw await refusal(response);
}

/**
 * What the server says where it says no.
 * @param {Response} response
 */
export async function refusal(response) {
  if (response.status === 401) globalThis.dispatchEvent?.(new Event("signed-out"));
  const body = await response.json().catch(() => null);
  const detail = typeof body?.detail === "string" ? body.detail : body?.error;
  return new Answer(response.status, detail || `The server answered ${response.status} ${response.statusText}`.trim(), body?.variables ?? []);
}

export class Follower {
  /**
   * @param {URL} address of the run in the API
   * @param {object} on
   * @param {(run: Run) => void} on.run
   * @param {(page: ObjectPage) => void} on.objects
   * @param {(chunks: Chunks) => void} on.chunks
   * @param {(sentence: string) => void} on.trouble empty when all is well again
   * @param {(sentence: string) => void} on.unavailable the objects cannot be had any more
   * @param {(sentence: string) => void} on.missing there is no such run
   */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.run = /** @type {Run | null} */ (null);
    this.attempt = 0;
    this.source = /** @type {EventSource | null} */ (null);
    this.all = false;
    this.asked = {
      objects: { pace: new Pace(OFTEN_MS), timer: 0, busy: false, failures: 0 },
      chunks: { pace: new Pace(500), timer: 0, busy: false, failures: 0 },
    };
  }

  /** @param {string} what */
  at(what) {
    return new URL(`${this.address.href}/${what}`);
  }

  /** Asks for the run and follows its events, again and again until it has ended. */
  async start() {
    try {
      this.heard(/** @type {Run} */ (await ask(this.address)));
      this.listen();
    } catch (why) {
      if (why instanceof Answer && why.status === 404) this.on.missing(why.message);
      else this.again();
    }
  }

  listen() {
    this.source?.close();
    const source = new EventSource(this.at("events"));
    this.source = source;
    source.addEventListener("run", (event) => this.heard(JSON.parse(/** @type {MessageEvent} */ (event).data)));
    source.addEventListener("end", () => {
      source.close();
      this.ended();
    });
    source.onerror = () => {
      source.close();
      this.again();
    };
  }

  /** The events have ended: because the run has, or because the server goes down and may come back. */
  ended() {
    if (!this.run || !isOver(this.run)) this.again();
  }

  again() {
    const wait = waitSeconds(this.attempt, Math.random());
    this.attempt += 1;
    if (this.attempt > 1) this.on.trouble("The control plane is out of reach; the numbers may be old.");
    window.setTimeout(() => this.start(), wait * 1000);
  }

  /** @param {Run} run */
  heard(run) {
    this.attempt = 0;
    this.on.trouble("");
    this.run = run;
    this.on.run(run);
    this.refresh("objects");
    this.refresh("chunks");
  }

  /** Of the objects the largest do, or all are wanted. @param {boolean} all */
  want(all) {
    if (this.all === all) return;
    this.all = all;
    const { objects } = this.asked;
    objects.pace.intervalMs = all ? SELDOM_MS : OFTEN_MS;
    // Whoever begins to look for something waits for the answer; what is known already goes on to do for the rest.
    if (all) objects.pace.at = -Infinity;
    if (all && this.run) this.refresh("objects");
  }

  /** What the answer depends on. @param {"objects" | "chunks"} what */
  key(what) {
    const run = /** @type {Run} */ (this.run);
    const status = run.status;
    const over = isOver(run);
    // Nobody knows of any yet: who asks is refused, which a browser writes on its console.
    if (run.state === "queued" || run.state === "starting") return null;
    if (!status?.chunks) return over ? `over ${what === "objects" && this.all}` : null;
    const { objects, log_position: position, committed, leased, failed } = status;
    return what === "objects" ? `${objects} ${position} ${over} ${this.all && objects > LIMIT}` : `${committed} ${leased} ${failed} ${over}`;
  }

  /** @param {"objects" | "chunks"} what */
  async refresh(what) {
    const asked = this.asked[what];
    const key = this.key(what);
    if (key === null || asked.busy) return;
    clearTimeout(asked.timer);
    const due = asked.pace.due(key, performance.now());
    if (due === null) return;
    if (due > 0) {
      asked.timer = window.setTimeout(() => this.refresh(what), due);
      return;
    }
    asked.busy = true;
    asked.pace.done(key, performance.now());
    try {
      const answer = await ask(this.at(what === "objects" ? `objects?limit=${this.all ? LIMIT_OF_ALL : LIMIT}` : "chunks"));
      asked.failures = 0;
      if (what === "objects") this.on.objects(/** @type {ObjectPage} */ (answer));
      else this.on.chunks(/** @type {Chunks} */ (answer));
    } catch {
      // What is wrong with the server, the events say.
      asked.pace.failed();
      asked.failures += 1;
    }
    asked.busy = false;
    // While the run goes on, the next event asks again; when it is over none will come, so it is tried a few times more.
    if (asked.failures === 0 || (this.run && isOver(this.run) && asked.failures < TRIES)) this.refresh(what);
    else if (asked.failures === TRIES && what === "objects") this.on.unavailable("No longer to be had");
  }

  /** Asks for the run to be cancelled.  Throws as ask() does. */
  async cancel() {
    await ask(this.at("cancel"), { method: "POST" });
  }
}
