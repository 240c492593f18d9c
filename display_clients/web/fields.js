/**
 * The JSON Schema of what a segmenter takes, as fields of a form; and what somebody typed there, as a value.  Pure.
 *
 * A run's parameters are numbers, texts, and yes or no; a field that may be null is one that may be left empty.
 */

import { value as figure } from "./format.js";

/** @typedef {boolean | number | string} Parameter */
/**
 * @typedef {object} Field
 * @property {string} name as the segmenter calls it
 * @property {string} label
 * @property {string} hint a sentence, or empty
 * @property {"number" | "text" | "choice" | "flag"} kind flag: yes or no
 * @property {boolean} required
 * @property {boolean} whole a number without a fraction
 * @property {Parameter[]} choices
 * @property {Parameter | null} usual what is taken if nothing is said; null: the segmenter decides
 * @property {{least?: number, above?: number, most?: number, below?: number, letters?: number}} bounds
 */
/**
 * @typedef {object} Schema what is read of a JSON Schema
 * @property {string} [$ref]
 * @property {Record<string, Schema>} [$defs]
 * @property {Schema[]} [anyOf]
 * @property {Schema[]} [oneOf]
 * @property {string | string[]} [type]
 * @property {(Parameter | null)[]} [enum]
 * @property {Parameter | null} [const]
 * @property {Record<string, Schema>} [properties]
 * @property {string[]} [required]
 * @property {string} [title]
 * @property {string} [description]
 * @property {Parameter | object | null} [default]
 * @property {number} [minimum]
 * @property {number} [exclusiveMinimum]
 * @property {number} [maximum]
 * @property {number} [exclusiveMaximum]
 * @property {number} [minLength]
 */

/** More fields than these that may be left empty are shown when asked for. */
export const FEW = 3;

/** A text as a sentence: its first letter large, a full stop at its end. @param {string} text */
export function sentenceOf(text) {
  const plain = text.replaceAll("`", "").replace(/\s+/g, " ").trim();
  if (!plain) return "";
  return plain.charAt(0).toUpperCase() + plain.slice(1) + (/[.!?…]$/.test(plain) ? "" : ".");
}

/** seed_threshold: Seed threshold. @param {string} name */
export function labelOf(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A schema with what it refers to in its place. @param {Schema} schema @param {Schema} whole @returns {Schema} */
function resolved(schema, whole) {
  const name = /^#\/\$defs\/(.+)$/.exec(schema.$ref ?? "")?.[1];
  return name ? { ...whole.$defs?.[name], ...schema, $ref: undefined } : schema;
}

/** Of a schema that allows several things, those that are not null, as one. @param {Schema} given @param {Schema} whole */
function something(given, whole) {
  const schema = resolved(given, whole);
  const several = /** @type {Schema[] | undefined} */ (schema.anyOf ?? schema.oneOf);
  const kinds = (several ?? [schema]).map((one) => resolved(one, whole)).filter((one) => one.type !== "null");
  const choices = kinds.flatMap((one) => one.enum ?? (one.const === undefined ? [] : [one.const])).filter((one) => one !== null);
  const types = new Set(kinds.flatMap((one) => one.type ?? []).filter((type) => type !== "null"));
  return { schema: { ...schema, ...(kinds.length === 1 ? kinds[0] : {}) }, choices, types };
}

/** @param {Schema} schema @returns {Field[]} those that are needed first */
export function fieldsOf(schema) {
  const needed = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, given]) => {
    const { schema: one, choices, types } = something(given, schema);
    const only = (/** @type {string[]} */ ...names) => types.size > 0 && [...types].every((type) => names.includes(type));
    /** @type {Field["kind"]} */
    const kind = choices.length ? "choice" : only("boolean") ? "flag" : only("number", "integer") ? "number" : "text";
    const usual = given.default ?? one.default ?? null;
    return {
      name,
      label: given.title ?? labelOf(name),
      hint: sentenceOf(given.description ?? one.description ?? ""),
      kind,
      required: needed.has(name),
      whole: only("integer"),
      choices,
      usual: typeof usual === "object" ? null : usual,
      bounds: {
        least: one.minimum,
        above: one.exclusiveMinimum,
        most: one.maximum,
        below: one.exclusiveMaximum,
        letters: one.minLength,
      },
    };
  });
  return [...fields.filter((field) => field.required), ...fields.filter((field) => !field.required)];
}

/** Which fields are shown at once, and which when asked for. @param {Field[]} fields */
export function shownFirst(fields) {
  const optional = fields.filter((field) => !field.required);
  if (optional.length <= FEW) return { first: fields, later: /** @type {Field[]} */ ([]) };
  return { first: fields.filter((field) => field.required), later: optional };
}

/** A number as people write it, with a point or a comma. @param {string} text */
export function numberIn(text) {
  const plain = text.trim().replace("−", "-").replace(/^([^.,]*),([^.,]*)$/, "$1.$2");
  return plain === "" ? NaN : Number(plain);
}

/** How a yes, a no, and other values are called. @param {Parameter} value */
export function spelled(value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/**
 * What a text in a field means: a value, nothing (as usual), or what is wrong with it, in a sentence.
 * @param {Field} field
 * @param {string} text
 * @returns {{value?: Parameter, wrong?: string}}
 */
export function meant(field, text) {
  const given = text.trim();
  if (!given) return field.required ? { wrong: `${field.label} is needed.` } : {};
  if (field.kind === "flag") return { value: given === "true" };
  if (field.kind === "choice") {
    const value = field.choices.find((one) => String(one) === given);
    return value === undefined ? { wrong: `${field.label} is one of ${field.choices.map(spelled).join(", ")}.` } : { value };
  }
  const { least, above, most, below, letters } = field.bounds;
  if (field.kind === "text") {
    return given.length < (letters ?? 0) ? { wrong: `${field.label} has ${letters} characters or more.` } : { value: given };
  }
  const number = numberIn(given);
  if (!Number.isFinite(number)) return { wrong: `${field.label} is a number; “${given}” is none.` };
  if (field.whole && !Number.isInteger(number)) return { wrong: `${field.label} is a whole number.` };
  if (least !== undefined && number < least) return { wrong: `${field.label} is ${figure(least)} or more.` };
  if (above !== undefined && number <= above) return { wrong: `${field.label} is more than ${figure(above)}.` };
  if (most !== undefined && number > most) return { wrong: `${field.label} is ${figure(most)} at most.` };
  if (below !== undefined && number >= below) return { wrong: `${field.label} is less than ${figure(below)}.` };
  return { value: number };
}
