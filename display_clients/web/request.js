/**
 * From what a form holds to the request that starts a run, and the key by which it is started once.  Pure.
 */

import { meant } from "./fields.js";

/** @typedef {import("./fields.js").Field} Field */
/** @typedef {import("./fields.js").Parameter} Parameter */
/**
 * @typedef {object} Filled what the form holds, as texts
 * @property {string} input
 * @property {string} variable
 * @property {string} segmenter
 * @property {Record<string, string>} parameters
 * @property {string} workers
 * @property {string} chunk
 * @property {string} out
 * @property {boolean} values whether chunks carry the values of the input too
 * @property {string[]} walls
 * @property {boolean} take
 * @property {string} project empty: there is nothing to choose
 */

/** @type {Field} */
const WORKERS = {
  name: "workers", label: "Workers", hint: "", kind: "number", required: false, whole: true, choices: [], usual: null,
  bounds: { least: 1 },
};

/** A shape as people write it: 24,41,41 or 24 × 41 × 41; null if it is none. @param {string} text */
export function shapeIn(text) {
  const sides = text.split(/[^\d.]+/).filter(Boolean).map(Number);
  const sound = sides.length === 3 && sides.every((side) => Number.isInteger(side) && side > 0);
  return sound && /^[\d\s,;×x*]+$/.test(text) ? sides : null;
}

/**
 * The request, or what is wrong, by the names of the fields.
 * @param {Filled} filled
 * @param {Field[]} fields of the segmenter
 * @param {number | null} [mostWorkers]
 * @returns {{body: Record<string, unknown>, wrong: Record<string, string>}}
 */
export function requestOf(filled, fields, mostWorkers = null) {
  /** @type {Record<string, string>} */
  const wrong = {};
  /** @type {Record<string, unknown>} */
  const body = { input: filled.input.trim() };
  if (!body.input) wrong.input = "Say first which data: a file, an address, or a sample.";
  if (filled.project) body.project = filled.project;
  if (filled.variable) body.variable = filled.variable;
  body.segmenter = filled.segmenter;
  /** @type {Record<string, Parameter>} */
  const parameters = {};
  for (const field of fields) {
    const { value, wrong: why } = meant(field, filled.parameters[field.name] ?? "");
    if (why) wrong[field.name] = why;
    else if (value !== undefined && (field.required || value !== field.usual)) parameters[field.name] = value;
  }
  body.parameters = parameters;
  const bounds = { least: 1, most: mostWorkers ?? undefined };
  const workers = meant({ ...WORKERS, bounds }, filled.workers);
  if (workers.wrong) wrong.workers = workers.wrong;
  else if (workers.value !== undefined) body.workers = workers.value;
  if (filled.chunk.trim()) {
    const chunk = shapeIn(filled.chunk);
    if (chunk) body.chunk = chunk;
    else wrong.chunk = "A chunk is three whole numbers, such as 24, 41, 41.";
  }
  if (filled.out.trim()) body.out = filled.out.trim();
  if (filled.values) body.layers = ["labels1", "field"];
  if (filled.walls.length) body.walls = filled.walls;
  if (filled.walls.length && filled.take) body.take = true;
  return { body, wrong };
}

/** One key for one wish: the same request, sent again, has the same, until it is done. */
export class Once {
  /** @param {() => string} draw a key that nobody had before */
  constructor(draw) {
    this.draw = draw;
    this.wish = "";
    this.key = "";
  }

  /** @param {Record<string, unknown>} body */
  keyFor(body) {
    const wish = JSON.stringify(body);
    if (wish !== this.wish) {
      this.wish = wish;
      this.key = this.draw();
    }
    return this.key;
  }

  /** It is started; who asks for the same again wants a second one. */
  done() {
    this.wish = "";
  }
}

/**
 * The field that a refusal is about: the first of these names that it says as one; empty if none.
 * @param {string} detail
 * @param {string[]} names
 */
export function fieldIn(detail, names) {
  let [found, earliest] = ["", Infinity];
  for (const name of names) {
    const at = detail.search(new RegExp(`(--|\\b)${name}(?=\\s*(=|\\bis\\b|\\bmust\\b|[.,:]|$))|--(set )?${name}\\b`));
    if (at >= 0 && at < earliest) [found, earliest] = [name, at];
  }
  return found;
}
