/**
 * How a run and a connection stand, in words that a stranger understands.
 */

import { plainly } from "./dataset.js";
import { count, duration, plural, units, value } from "./format.js";

/**
 * @typedef {object} RunStatus what the streamer says (streamer/wire/messages.py)
 * @property {string} state
 * @property {number} chunks
 * @property {number} committed
 * @property {number} leased
 * @property {number} failed
 * @property {number} voxels
 * @property {number} voxels_done
 * @property {number} objects
 * @property {number} seconds
 * @property {number} voxels_per_second
 * @property {number | null} eta_s
 * @property {number} log_position
 * @property {Record<string, string>} [failures]
 */
/**
 * @typedef {object} Run what the control plane says
 * @property {string} run_id
 * @property {string} state
 * @property {string | null} [error]
 * @property {boolean} [paused] whether a pause is wanted
 * @property {number | null} [runs_before] while it is queued
 * @property {string} title
 * @property {string} [created] when it was asked for, ISO 8601, UTC
 * @property {string} variable
 * @property {string} units
 * @property {number[]} shape
 * @property {number[]} chunk
 * @property {string[]} dims
 * @property {boolean} on_sphere
 * @property {boolean} has_time
 * @property {boolean} [y_descending] whether the middle axis runs downwards in the picture
 * @property {{name: string}[]} [walls] where it is shown
 * @property {string} [segmenter]
 * @property {Record<string, unknown>} [parameters] of the segmenter
 * @property {readonly string[]} [remarks]
 * @property {string | null} [view_url] null if the run has no renderer
 * @property {RunStatus | null} [status]
 */
/** @typedef {{kind: "connecting" | "live" | "waiting" | "ended", inSeconds?: number, reason?: string}} Connection */

const OVER = new Set(["complete", "cancelled", "failed"]);

/** Whether nothing more will be computed. @param {Run} run */
export function isOver(run) {
  return OVER.has(run.state);
}

/** What is segmented, and from which value on. @param {Run} run */
export function criterion(run) {
  const threshold = run.segmenter === "connect" ? run.parameters?.threshold : undefined;
  const unit = units(run.units);
  if (typeof threshold === "number") return `${run.variable} ≥ ${value(threshold)}${unit ? ` ${unit}` : ""}`;
  return unit ? `${run.variable} in ${unit}` : run.variable;
}

/** One word for a badge. @param {string} state */
export function badge(state) {
  const words = /** @type {Record<string, string>} */ ({
    queued: "Queued",
    starting: "Starting",
    waiting: "Waiting",
    running: "Computing",
    complete: "Complete",
    cancelled: "Cancelled",
    failed: "Failed",
  });
  return words[state] ?? state.charAt(0).toUpperCase() + state.slice(1);
}

/** A sentence about the run. @param {Run} run */
export function sentence(run) {
  const status = run.status;
  const failed = status?.failed ? ` ${plural(status.failed, "chunk")} could not be computed.` : "";
  switch (run.state) {
    case "queued":
      if (run.paused) return "Paused before it has begun.";
      return run.runs_before
        ? `Waits for ${plural(run.runs_before, "run")} before it.`
        : "Waits for room, as the next.";
    case "starting":
      return "The parts of the run are starting.";
    case "waiting":
      return "Ready; computing starts with the first viewer.";
    case "running": {
      if (!status) return "Computing.";
      if (status.state === "complete") return `All chunks are done; the store is being written.${failed}`;
      if (status.committed === 0) return `The first chunks are being computed.${failed}`;
      const left = status.eta_s === null || status.eta_s === undefined ? "" : `; about ${duration(status.eta_s)} left`;
      return `For ${duration(status.seconds)} now${left}.${failed}`;
    }
    case "complete":
      return status ? `Done in ${duration(status.seconds)}.${failed}` : "Done.";
    case "cancelled":
      return `Cancelled. What was computed stays.${failed}`;
    case "failed":
      return run.error || "The run has failed; the log of the control plane says why.";
    default:
      return run.error || `The run is ${run.state}.`;
  }
}

/** What of the run is done, 0…1. @param {RunStatus | null | undefined} status */
export function fraction(status) {
  return status?.chunks ? status.committed / status.chunks : 0;
}

/** Chunks in words, for those who do not see the strip. @param {RunStatus | null | undefined} status */
export function chunksInWords(status) {
  if (!status?.chunks) return "No chunk is known yet.";
  const parts = [`${count(status.committed)} of ${plural(status.chunks, "chunk")} done`];
  if (status.leased) parts.push(`${count(status.leased)} being computed`);
  if (status.failed) parts.push(`${count(status.failed)} failed`);
  return parts.join(", ");
}

/** The connection in a word or two, for its pill. @param {Connection} connection @param {boolean} [slow] what one does is seen late */
export function pill({ kind, inSeconds }, slow = false) {
  switch (kind) {
    case "connecting":
      return "Connecting";
    case "live":
      return slow ? "Slow" : "Connected";
    case "waiting":
      return inSeconds ? `Reconnecting in ${inSeconds} s` : "Reconnecting";
    default:
      return "Not connected";
  }
}

/** The connection for those who listen: news only, no countdown. @param {Connection} connection */
export function spoken({ kind, reason }) {
  if (kind === "live") return "The picture is live.";
  if (kind === "waiting") return `${capital(reason || "the connection was lost")}; the page tries again by itself.`;
  return kind === "ended" ? trouble({ kind, reason }, false) : "Connecting.";
}

/**
 * What is wrong with the picture, in a sentence; empty if nothing is.
 * @param {Connection} connection
 * @param {boolean} hasPicture
 */
export function trouble({ kind, inSeconds, reason }, hasPicture) {
  if (kind === "ended") return withFullStop(capital(reason || "there are no more pictures"));
  if (kind !== "waiting") return "";
  const what = capital(reason || "the connection was lost").replace(/[.!]$/, "");
  const when = inSeconds ? `trying again in ${inSeconds} s` : "trying again now";
  return `${what}; ${when}.${hasPicture ? " The picture may be old." : ""}`;
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {string} text */
function withFullStop(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

/**
 * What to say as long as there is no picture: a heading and a sentence.
 * @param {Run | null} run
 * @param {Connection} connection
 * @returns {{heading: string, detail: string}}
 */
export function waitingText(run, connection) {
  if (connection.kind === "ended") return { heading: "No picture", detail: trouble(connection, false) };
  if (connection.kind === "waiting") return { heading: "Waiting for the renderer", detail: trouble(connection, false) };
  if (run?.state === "failed") return { heading: "No picture", detail: sentence(run) };
  if (run?.state === "queued") return { heading: "The run has not begun", detail: sentence(run) };
  if (connection.kind === "connecting") return { heading: "Connecting", detail: "The page is calling the renderer." };
  return { heading: "The first picture is on its way", detail: "The renderer is setting up the scene." };
}

/** @typedef {{text: string, failed: boolean}} Remark */

/**
 * What a person should know besides: notes on the input, parts that were lost, chunks that failed and why.
 * @param {Run} run
 * @returns {Remark[]}
 */
export function remarks(run) {
  const failures = Object.entries(run.status?.failures ?? {}).slice(0, 5);
  const inUnits = (/** @type {string} */ text) => run.units ? plainly(text).replaceAll(run.units, units(run.units)) : plainly(text);
  return [
    ...(run.remarks ?? []).map((text) => ({ text: inUnits(text), failed: false })),
    ...failures.map(([chunk, why]) => ({ text: `Chunk ${chunk}: ${why}`, failed: true })),
  ];
}

/** What looking along an axis is called. @param {string[]} dims @param {number} axis */
export function axisView(dims, axis) {
  const others = dims.filter((_, i) => i !== axis);
  const name = ["Top", "Front", "Side"][axis];
  const along = dims[axis] ?? `axis ${axis}`;
  const seen = others.length === 2 ? `: ${others[1]} across, ${others[0]} up` : "";
  return { name, hint: `Look along ${along}${seen} (key ${"zyx"[axis]}); once more: from the other side` };
}

/**
 * What to say of a picture that does not change.
 * @param {boolean} seen there is one
 * @param {boolean} finished it is the refined one, and nothing in it still waits for its finish
 */
export function pictureState(seen, finished) {
  if (!seen) return "No picture yet";
  return finished ? "Picture at rest" : "Picture being refined";
}

/** Longer than this from an input to its picture is slow, in ms. */
const SLOW_MS = 300;
/** Nothing new for so long, while there is work, is worth a word: seconds, and so many times what a chunk took so far. */
const QUIET_S = 20, QUIET_TIMES = 6;

/** Whether what one does is seen late. @param {{ms: number} | null} latency */
export function isSlow(latency) {
  return latency !== null && latency.ms > SLOW_MS;
}

/**
 * How old the newest chunk is, in words; empty where nothing is awaited.
 * @param {Run | null} run
 * @param {number} ageS since a chunk came last, as far as the page has seen
 */
export function ageInWords(run, ageS) {
  if (run?.state !== "running" || !run.status?.committed) return "";
  return ageS < 2 ? "newest chunk just now" : `newest chunk ${duration(ageS)} ago`;
}

/**
 * What is not as it should be though everybody answers, in a sentence; empty if nothing is.
 * @param {Run | null} run
 * @param {{latency: {ms: number, renderMs: number} | null, ageS: number}} seen
 */
export function unwell(run, { latency, ageS }) {
  const status = run?.status;
  if (run?.state === "running" && !run.paused && status && status.committed + status.failed < status.chunks) {
    const usual = status.committed ? status.seconds / status.committed : 0;
    if (ageS > Math.max(QUIET_S, QUIET_TIMES * usual)) {
      return status.leased
        ? `No chunk has come for ${duration(ageS)}, though ${count(status.leased)} ${status.leased === 1 ? "is" : "are"} being computed.`
        : `No chunk has come for ${duration(ageS)}: no worker is at work.`;
    }
  }
  if (!latency || !isSlow(latency)) return "";
  return latency.renderMs > latency.ms / 2
    ? `Drawing is slow: the server takes ${Math.round(latency.renderMs)} ms for a picture.`
    : `The connection is slow: what you do is seen after ${Math.round(latency.ms)} ms.`;
}
