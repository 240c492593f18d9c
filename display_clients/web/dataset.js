/**
 * What an input holds, in words; and what the server says about it, for people who have a form and no command line.  Pure.
 */

import { sentenceOf } from "./fields.js";
import { count, date, latitude, longitude, plural, shape, units, value } from "./format.js";

/**
 * @typedef {object} Dimension as the control plane tells it (streamer/control/booking.py)
 * @property {string} name
 * @property {string} kind
 * @property {number} size
 * @property {string} units
 * @property {number} first
 * @property {number} last
 * @property {boolean} periodic
 * @property {string} [first_time]
 * @property {string} [last_time]
 */
/**
 * @typedef {object} Dataset
 * @property {string} title
 * @property {string} provenance
 * @property {string} variable
 * @property {string} long_name
 * @property {string} units
 * @property {Dimension[]} dimensions
 * @property {number} voxels
 * @property {number[]} chunk
 * @property {number[]} counts
 * @property {Record<string, import("./fields.js").Parameter>} suggested
 * @property {string[]} notes
 * @property {string[]} variables
 */

/** From where to where an axis goes. @param {Dimension} axis */
export function extent(axis) {
  const closes = axis.periodic ? ", around the globe" : "";
  const between = (/** @type {string} */ from, /** @type {string} */ to) => (from === to ? from : `${from} to ${to}`);
  if (axis.kind === "time" && axis.first_time) return between(date(axis.first_time), date(axis.last_time));
  if (axis.kind === "latitude") return between(latitude(axis.first), latitude(axis.last));
  if (axis.kind === "longitude") return between(longitude(axis.first), longitude(axis.last)) + closes;
  const unit = units(axis.units);
  const ends = between(value(axis.first), value(axis.last));
  return `${ends}${unit && unit !== "1" ? ` ${unit}` : ""}${axis.periodic ? ", closes on itself" : ""}`;
}

/** What the variable is. @param {Dataset} data */
export function about(data) {
  const unit = units(data.units);
  return [data.long_name || data.variable, unit && `in ${unit}`].filter(Boolean).join(" ");
}

/** How the volume would be cut. @param {Dataset} data */
export function cut(data) {
  const chunks = data.counts.reduce((all, n) => all * n, 1);
  return `${count(data.voxels)} voxels, cut into ${plural(chunks, "chunk")} of ${shape(data.chunk)} unless you set another below.`;
}

/** What a reader should know; the form shows the variables itself. @param {Dataset} data */
export function notes(data) {
  return data.notes.filter((note) => !note.includes("--variable takes another")).map(plainly);
}

const CALLED = /** @type {Record<string, string>} */ ({
  variable: "“Variable”",
  chunk: "“Chunk”",
  workers: "“Workers”",
  out: "“Keep the result”",
});

/**
 * A sentence of the server, without what only a command line has.
 * @param {string} text
 */
export function plainly(text) {
  const plain = text
    .replace(/,? ?(\(|or )?--spacing [A-Z\d.,]+ sets their size\)?/g, "")
    .replace(/--set (\w+)(=[A-Z]+)?/g, (_, name) => `“${name.replaceAll("_", " ")}”`)
    .replace(/--(\w[\w-]*)( [A-Z],[A-Z],[A-Z]| [A-Z]\b)?/g, (_, name) => CALLED[name] ?? `“${name.replaceAll("-", " ")}”`);
  return sentenceOf(plain);
}

/** What stands where a choice is asked for. @param {string[]} variables */
export function several(variables) {
  return `It holds ${plural(variables.length, "variable")}; choose the one to be segmented.`;
}
