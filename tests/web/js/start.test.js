/** The form that starts a run: from the schema to fields, from fields to the request, and what the server says in words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { about, cut, extent, notes, plainly, several } from "../../../display_clients/web/dataset.js";
import { fieldsOf, labelOf, meant, numberIn, sentenceOf, shownFirst } from "../../../display_clients/web/fields.js";
import { lineInWords, howMuch, linesQuery, LINES, partsOf, sameLines } from "../../../display_clients/web/lines.js";
import { isNarrow, nothing, PAGE, queryOf, readFilter, writtenFilter } from "../../../display_clients/web/listing.js";
import { fieldIn, Once, requestOf, shapeIn } from "../../../display_clients/web/request.js";

const plain = (/** @type {string} */ text) => text.replaceAll("\u00a0", " ").replaceAll("\u202f", " ");

const CONNECT = {
  type: "object",
  properties: {
    connectivity: { description: "how many neighbours a voxel has", enum: [6, 18, 26], default: 26 },
    threshold: { description: "the least value of the field", type: "number" },
  },
  required: ["threshold"],
};
const OTHER = {
  type: "object",
  properties: {
    seeds: { anyOf: [{ enum: ["grid", "maxima"] }, { type: "null" }], default: null },
    pad: { anyOf: [{ type: "number", exclusiveMinimum: 0, exclusiveMaximum: 1 }, { type: "null" }], default: null },
    inverted: { anyOf: [{ type: "boolean" }, { type: "null" }], default: null },
    join: { type: "boolean", default: true },
    reach: { type: "integer", minimum: 0, maximum: 64, default: 1 },
    model: { type: "string", minLength: 2 },
    kind: { $ref: "#/$defs/Kind" },
  },
  $defs: { Kind: { enum: ["a", "b"], description: "which kind" } },
  required: ["model"],
};

/** @param {object} schema @param {string} name */
function field(schema, name) {
  const found = fieldsOf(schema).find((one) => one.name === name);
  assert.ok(found);
  return found;
}

/** @param {Partial<import("../../../display_clients/web/request.js").Filled>} given */
const filled = (given) => ({
  input: "/data/x.nc", variable: "", segmenter: "connect", parameters: {}, workers: "", chunk: "", out: "",
  values: false, walls: [], take: false, project: "", ...given,
});

test("a schema becomes fields, what is needed first", () => {
  const [threshold, connectivity] = fieldsOf(CONNECT);
  assert.deepEqual(
    [threshold.name, threshold.kind, threshold.required, threshold.label, threshold.hint],
    ["threshold", "number", true, "Threshold", "The least value of the field."],
  );
  assert.deepEqual([connectivity.kind, connectivity.choices, connectivity.usual], ["choice", [6, 18, 26], 26]);
  assert.deepEqual(fieldsOf({}), []);
});

test("what may be null may be left empty, and is what it is beside that", () => {
  assert.deepEqual(field(OTHER, "seeds").choices, ["grid", "maxima"]);
  assert.equal(field(OTHER, "pad").kind, "number");
  assert.equal(field(OTHER, "inverted").kind, "flag");
  assert.equal(field(OTHER, "inverted").usual, null);
  assert.equal(field(OTHER, "join").usual, true);
  assert.equal(field(OTHER, "reach").whole, true);
  assert.deepEqual([field(OTHER, "kind").choices, field(OTHER, "kind").hint], [["a", "b"], "Which kind."]);
});

test("many fields that may be left empty are shown when asked for, few at once", () => {
  assert.deepEqual(shownFirst(fieldsOf(OTHER)).first.map((one) => one.name), ["model"]);
  assert.equal(shownFirst(fieldsOf(OTHER)).later.length, 6);
  assert.equal(shownFirst(fieldsOf(CONNECT)).first.length, 2);
});

test("names and descriptions are made into words", () => {
  assert.equal(labelOf("min_segment_size"), "Min segment size");
  assert.equal(sentenceOf("components of ``field ≥ threshold``."), "Components of field ≥ threshold.");
  assert.equal(sentenceOf(""), "");
});

test("numbers are read with a point, a comma, and a true minus", () => {
  assert.deepEqual(["250", " 2,5 ", "−3", "1e3"].map(numberIn), [250, 2.5, -3, 1000]);
  assert.ok(["", "x", "1,2,3", "1 000"].map(numberIn).every(Number.isNaN));
});

test("what is typed is a value, nothing, or wrong in a sentence that says what is right", () => {
  const threshold = field(CONNECT, "threshold");
  assert.deepEqual(meant(threshold, " 500 "), { value: 500 });
  assert.match(meant(threshold, "").wrong ?? "", /Threshold is needed/);
  assert.match(meant(threshold, "high").wrong ?? "", /“high”/);
  assert.deepEqual(meant(field(CONNECT, "connectivity"), "18"), { value: 18 });
  assert.match(meant(field(CONNECT, "connectivity"), "7").wrong ?? "", /one of 6, 18, 26/);
  assert.deepEqual(meant(field(OTHER, "pad"), ""), {});
  assert.match(meant(field(OTHER, "pad"), "0").wrong ?? "", /more than 0/);
  assert.match(meant(field(OTHER, "pad"), "1").wrong ?? "", /less than 1/);
  assert.match(meant(field(OTHER, "reach"), "1.5").wrong ?? "", /whole number/);
  assert.match(meant(field(OTHER, "reach"), "65").wrong ?? "", /64 at most/);
  assert.match(meant(field(OTHER, "reach"), "-1").wrong ?? "", /0 or more/);
  assert.match(meant(field(OTHER, "model"), "x").wrong ?? "", /2 characters/);
  assert.deepEqual([meant(field(OTHER, "join"), "false"), meant(field(OTHER, "join"), "true")], [{ value: false }, { value: true }]);
});

test("a request says what was chosen, and not what is as usual anyway", () => {
  const { body, wrong } = requestOf(filled({ parameters: { threshold: "500", connectivity: "26" } }), fieldsOf(CONNECT));
  assert.deepEqual(wrong, {});
  assert.deepEqual(body, { input: "/data/x.nc", segmenter: "connect", parameters: { threshold: 500 } });
});

test("a request holds all that the form does", () => {
  const { body, wrong } = requestOf(
    filled({
      input: " sample:rivers ", variable: "ivt", parameters: { threshold: "2,5", connectivity: "6" }, workers: "3",
      chunk: "24 × 41 × 41", out: "/data/out.zarr", values: true, walls: ["cave"], take: true, project: "rivers",
    }),
    fieldsOf(CONNECT), 4,
  );
  assert.deepEqual(wrong, {});
  assert.deepEqual(body, {
    input: "sample:rivers", project: "rivers", variable: "ivt", segmenter: "connect",
    parameters: { threshold: 2.5, connectivity: 6 }, workers: 3, chunk: [24, 41, 41], out: "/data/out.zarr",
    layers: ["labels1", "field"], walls: ["cave"], take: true,
  });
});

test("all that is wrong is said at once, by field", () => {
  const { wrong } = requestOf(filled({ input: " ", workers: "9", chunk: "4,4" }), fieldsOf(CONNECT), 4);
  assert.deepEqual(Object.keys(wrong).sort(), ["chunk", "input", "threshold", "workers"]);
  assert.match(wrong.workers, /4 at most/);
});

test("a shape is three whole numbers, however they are kept apart", () => {
  for (const text of ["24,41,41", "24 41 41", "24 × 41 × 41", "24x41x41"]) assert.deepEqual(shapeIn(text), [24, 41, 41]);
  for (const text of ["24,41", "0,1,1", "1.5,2,2", "-1,2,3", "a,b,c"]) assert.equal(shapeIn(text), null, text);
});

test("the same wish has the same key until it is done, another one another", () => {
  let drawn = 0;
  const once = new Once(() => `key-${(drawn += 1)}`);
  assert.equal(once.keyFor({ input: "a" }), once.keyFor({ input: "a" }));
  assert.equal(once.keyFor({ input: "b" }), "key-2");
  once.done();
  assert.equal(once.keyFor({ input: "b" }), "key-3");
});

test("a refusal is said at the field that it names", () => {
  const names = ["threshold", "connectivity", "workers", "out"];
  assert.equal(fieldIn("segmenter connect cannot take connectivity=7: how many", names), "connectivity");
  assert.equal(fieldIn("workers is 0: input should be 1 or more", names), "workers");
  assert.equal(fieldIn("segmenter connect needs threshold: --threshold", names), "threshold");
  assert.equal(fieldIn("/a.zarr is there already: remove it, or give another --out", names), "out");
  assert.equal(fieldIn("there is no file /data/workers-out/x.nc", names), "");
});

const AXIS = { name: "time", kind: "time", size: 24, units: "hours", first: 1, last: 24, periodic: false };
const DATA = {
  title: "Flood", provenance: "", variable: "ivt", long_name: "vapour transport", units: "kg m-1 s-1",
  dimensions: [AXIS], voxels: 40344, chunk: [24, 41, 21], counts: [1, 1, 2], suggested: {},
  notes: ["Of several variables 'ivt' was taken; --variable takes another ('iwv').", "A step is missing."], variables: ["ivt", "iwv"],
};

test("an axis is said from where to where", () => {
  const time = { ...AXIS, first_time: "2021-07-13T00:00:00", last_time: "2021-07-13T23:00:00" };
  assert.equal(extent(time), "2021-07-13 00:00 to 2021-07-13 23:00");
  assert.equal(extent({ ...AXIS, kind: "latitude", first: -45, last: 55 }), "45.0° S to 55.0° N");
  assert.equal(extent({ ...AXIS, kind: "longitude", first: 0, last: 359, periodic: true }), "0.0° E to 1.0° W, around the globe");
  assert.equal(plain(extent({ ...AXIS, kind: "other", units: "km" })), "1 to 24 km");
});

test("a dataset is described without what only a command line has", () => {
  assert.equal(plain(about(DATA)), "vapour transport in kg m⁻¹ s⁻¹");
  assert.match(plain(cut(DATA)), /^40 344 voxels, cut into 2 chunks of 24 × 41 × 21/);
  assert.deepEqual(notes(DATA), ["A step is missing."]);
  assert.match(several(["a", "b"]), /2 variables/);
});

test("the server's sentences name fields, not options", () => {
  assert.equal(plainly("choose another with --variable"), "Choose another with “Variable”.");
  assert.equal(plainly("it is there already: give another --out"), "It is there already: give another “Keep the result”.");
  assert.equal(plainly("it needs seed_threshold: --set seed_threshold=VALUE"), "It needs seed_threshold: “seed threshold”.");
  assert.ok(!plainly("voxels are counted as 1 × 1 × 1 (--spacing Z,Y,X sets their size).").includes("--"));
});

test("a filter stands in the address, and wrong ones are none", () => {
  const filter = { words: "flood & more", state: "active", before: "rivers-3f9a02c1" };
  assert.deepEqual(readFilter(writtenFilter(filter)), filter);
  assert.equal(writtenFilter({ words: " ", state: "", before: "" }), "");
  assert.deepEqual(readFilter("#state=toString&q="), { words: "", state: "", before: "" });
  assert.ok(isNarrow(filter));
  assert.ok(!isNarrow(readFilter("#new")));
});

test("the server is asked for one run more than is shown", () => {
  const query = new URLSearchParams(queryOf({ words: "x", state: "active", before: "r" }));
  assert.equal(query.get("limit"), String(PAGE + 1));
  assert.deepEqual(query.getAll("state"), ["queued", "starting", "waiting", "running", "paused"]);
  assert.equal(query.get("before"), "r");
  assert.match(nothing({ words: "x", state: "failed", before: "" }), /“x”.*state/);
});

const LINE = { time: "2026-03-02T09:15:06.112+00:00", part: "worker-1", level: "info", text: "segments" };

test("lines say when, who and what, and how bad it is only if it is", () => {
  assert.deepEqual(lineInWords(LINE), { clock: "09:15:06", part: "worker-1", level: "", text: "segments" });
  assert.equal(lineInWords({ ...LINE, level: "error" }).level, "error");
  const long = "ended worker=worker-1 why=the run is complete part=worker-1 run=flood-1";
  assert.equal(lineInWords({ ...LINE, text: long }).text, "ended why=the run is complete");
  assert.equal(lineInWords({ ...LINE, text: "rerun=3 of part=" }).text, "rerun=3 of part=");
  assert.deepEqual(partsOf([LINE], ["renderer"]), ["renderer", "worker-1"]);
  assert.ok(sameLines([LINE], [{ ...LINE }]));
  assert.ok(!sameLines([LINE], [{ ...LINE, text: "ends" }]));
  assert.match(howMuch(LINES, true), /newest/);
  assert.match(howMuch(0, false), /yet/);
  assert.equal(linesQuery(""), `lines=${LINES}`);
  assert.match(linesQuery("worker-1"), /part=worker-1/);
});
