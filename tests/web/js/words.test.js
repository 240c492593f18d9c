import assert from "node:assert/strict";
import { test } from "node:test";

import { corner, DONE, FAILED, layout, LEASED, PENDING, stateAt } from "../../../display_clients/web/chunks.js";
import * as format from "../../../display_clients/web/format.js";
import { caption, clicked, columns, details, LARGEST_FIRST, leftOut, needsAll, sorted } from "../../../display_clients/web/objects.js";
import * as words from "../../../display_clients/web/words.js";

const THIN = "\u202f";
/** Text with its firm spaces as plain ones. */
const plain = (/** @type {string} */ text) => text.replaceAll("\u00a0", " ");

test("numbers are grouped, rounded to three figures, and missing ones are a dash", () => {
  assert.equal(format.count(1966080), `1${THIN}966${THIN}080`);
  assert.equal(format.count(4096), "4096");
  assert.equal(format.count(0), "0");
  assert.equal(format.count(null), "–");
  assert.equal(format.value(563.2178), "563");
  assert.equal(format.value(0.012345), "0.0123");
  assert.equal(format.value(-2.5), "−2.5");
  assert.equal(format.value(999.9), "1000");
  assert.equal(format.value(123456.7), `123${THIN}457`);
  assert.equal(format.value(3.2e-7), "3.2×10⁻⁷");
  assert.equal(format.value(NaN), "–");
  assert.equal(format.short(12_345_678), `12.3${THIN}M`);
  assert.equal(format.short(950), "950");
  assert.equal(format.short(999_950), `1${THIN}M`);
  assert.equal(format.megabytes(2_340_000), `2.3${THIN}MB`);
});

test("durations and lifetimes read as people say them", () => {
  assert.deepEqual([0.2, 8, 59.7, 125, 1800, 11400, 3600 * 72].map((s) => plain(format.duration(s))), ["< 1 s", "8 s", "1 min", "2 min 5 s", "30 min", "3 h 10 min", "3 days"]);
  assert.equal(format.duration(null), "–");
  assert.equal(format.lifetime(18), "18 h");
  assert.equal(format.lifetime(102), "4.25 d");
});

test("places and dates keep hemisphere and the data's own calendar", () => {
  assert.equal(format.latitude(-12.34), "12.3° S");
  assert.equal(format.longitude(350), "10.0° W");
  assert.equal(format.longitude(-190), "170.0° E");
  assert.equal(format.date("1959-01-02T06:00:00"), "1959-01-02 06:00");
  assert.equal(format.date("2001-02-30T00:00:00"), "2001-02-30 00:00", "a 360-day calendar has this day");
  assert.equal(format.date("2021-07-15"), "2021-07-15");
  assert.equal(plain(format.units("kg m-1 s-1")), "kg m⁻¹ s⁻¹");
  assert.equal(format.units("m**2"), "m²");
  assert.equal(format.units("km/h"), "km/h");
  assert.equal(plain(format.inPowers("506.9 ± 3.3 kg m-1 s-1")), "506.9 ± 3.3 kg m⁻¹ s⁻¹");
  assert.equal(plain(format.inPowers("at most 4e-05 K m2")), "at most 4e-05 K m²");
  assert.equal(format.inPowers("312.5 ± 1.2"), "312.5 ± 1.2");
  assert.equal(format.units(undefined), "");
  assert.equal(format.shape([240, 64, 128]), "240 × 64 × 128");
  assert.equal(plain(format.shape([2, 3], ["time", "lat"])), "2 time × 3 lat");
  assert.deepEqual([827_273, 9_100_000, 812.4].map(format.area), [`827${THIN}k`, `9.1${THIN}M`, "812"]);
});

const STATUS = {
  state: "running", chunks: 64, committed: 16, leased: 2, failed: 0, voxels: 64, voxels_done: 16,
  objects: 3, seconds: 12, voxels_per_second: 10, eta_s: 40, log_position: 20, failures: {},
};
const RUN = {
  run_id: "r1", state: "running", title: "t", variable: "ivt", units: "kg", shape: [1, 1, 1], chunk: [1, 1, 1],
  dims: ["time", "lat", "lon"], on_sphere: true, has_time: true, status: STATUS,
};

test("a number and its unit stay on one line, words around them may break", () => {
  assert.equal(format.firm("1959-01-02 06:00 to 1959-01-24, 540 h"), "1959-01-02 06:00 to 1959-01-24, 540\u00a0h");
  assert.equal(format.firm("312 ± 1.2 kg m-1 s-1"), "312 ± 1.2\u00a0kg m-1\u00a0s-1");
  assert.equal(format.firm("step 3 to 8, 6 steps"), "step 3 to 8, 6\u00a0steps");
});

test("each state of a run is a sentence", () => {
  assert.equal(plain(words.sentence(RUN)), "For 12 s now; about 40 s left.");
  assert.equal(words.sentence({ ...RUN, status: { ...STATUS, committed: 0 } }), "The first chunks are being computed.");
  assert.match(plain(words.sentence({ ...RUN, state: "complete", status: { ...STATUS, failed: 1 } })), /Done in 12 s\. 1 chunk could not/);
  assert.match(words.sentence({ ...RUN, status: { ...STATUS, state: "complete" } }), /store is being written/);
  assert.equal(words.sentence({ ...RUN, state: "failed", error: "The file went away." }), "The file went away.");
  for (const state of ["queued", "starting", "waiting", "running", "complete", "cancelled", "failed"]) {
    for (const status of [null, STATUS]) assert.match(words.sentence({ ...RUN, state, status }), /^[A-Z].*\.$/);
  }
  const queued = { ...RUN, state: "queued", runs_before: 2 };
  assert.equal(words.sentence(queued), "Waits for 2 runs before it.");
  assert.match(words.sentence({ ...queued, runs_before: 0 }), /as the next/);
  assert.match(words.sentence({ ...queued, paused: true }), /^Paused/);
  assert.equal(words.waitingText(queued, { kind: "connecting" }).heading, "The run has not begun");
  assert.equal(words.chunksInWords(STATUS), "16 of 64 chunks done, 2 being computed");
  const told = words.remarks({ ...RUN, units: "kg m-1", remarks: ["values from 0 to 9 kg m-1"], status: { ...STATUS, failures: { 7: "no memory" } } });
  assert.deepEqual(told, [
    { text: "Values from 0 to 9 kg\u00a0m⁻¹.", failed: false },
    { text: "Chunk 7: no memory", failed: true },
  ]);
  const [taken] = words.remarks({ ...RUN, remarks: ["of several variables 'a' was taken; --variable takes another ('b')"] });
  assert.equal(taken.text, "Of several variables 'a' was taken; “Variable” takes another ('b').", "what only a command line has");
});

test("the connection says what it does, and what is wrong in a sentence", () => {
  assert.equal(words.pill({ kind: "waiting", inSeconds: 3 }), "Reconnecting in 3 s");
  const gone = /** @type {const} */ ({ kind: "waiting", inSeconds: 3, reason: "The renderer has gone" });
  assert.equal(words.trouble(gone, false), "The renderer has gone; trying again in 3 s.");
  assert.match(words.trouble(gone, true), /picture may be old\.$/);
  assert.equal(words.trouble({ kind: "live" }, true), "");
  assert.equal(words.trouble({ kind: "ended", reason: "this run has no view" }, true), "This run has no view.");
});

test("what is not well though everybody answers is said, and nothing else", () => {
  const run = { ...RUN, state: "running", paused: false, status: { ...RUN.status, chunks: 64, committed: 10, failed: 0, leased: 2, seconds: 20 } };
  const well = { latency: { ms: 40, renderMs: 10 }, ageS: 3 };
  assert.equal(words.unwell(run, well), "");
  assert.equal(words.unwell(null, { ...well, ageS: 999 }), "");
  assert.match(words.unwell(run, { ...well, ageS: 45 }), /No chunk has come for 45.s, though 2 are being computed/);
  assert.match(words.unwell({ ...run, status: { ...run.status, leased: 0 } }, { ...well, ageS: 45 }), /no worker is at work/);
  assert.equal(words.unwell({ ...run, status: { ...run.status, seconds: 200 } }, { ...well, ageS: 45 }), "", "chunks take so long there");
  assert.equal(words.unwell({ ...run, paused: true }, { ...well, ageS: 45 }), "");
  assert.equal(words.unwell({ ...run, state: "complete" }, { ...well, ageS: 4500 }), "");
  assert.match(words.unwell(run, { ...well, latency: { ms: 500, renderMs: 10 } }), /connection is slow.*500 ms/);
  assert.match(words.unwell(run, { ...well, latency: { ms: 500, renderMs: 400 } }), /Drawing is slow.*400 ms/);
  assert.equal(words.unwell(run, { ...well, latency: null }), "", "nothing was done lately");
  assert.equal(words.pill({ kind: "live" }, words.isSlow({ ms: 500 })), "Slow");
  assert.equal(words.pill({ kind: "waiting" }, true), "Reconnecting");
  assert.equal(words.ageInWords(run, 1), "newest chunk just now");
  assert.match(words.ageInWords(run, 61), /newest chunk 1.min.1.s ago/);
  assert.equal(words.ageInWords({ ...run, state: "complete" }, 61), "");
});

test("those who listen hear news and no countdown", () => {
  const heard = [3, 2, 1].map((inSeconds) => words.spoken({ kind: "waiting", inSeconds, reason: "The renderer has gone" }));
  assert.deepEqual(new Set(heard), new Set(["The renderer has gone; the page tries again by itself."]));
  for (const kind of ["connecting", "live", "ended"]) assert.match(words.spoken({ kind }), /^[A-Z].*\.$/);
});

test("there is always something to read where there is no picture", () => {
  for (const kind of ["connecting", "live", "waiting", "ended"]) {
    for (const run of [null, RUN, { ...RUN, state: "failed", error: null }]) {
      const { heading, detail } = words.waitingText(run, { kind });
      assert.ok(heading && detail);
    }
  }
});

test("axis views carry the data's own names", () => {
  assert.deepEqual(words.axisView(["time", "lat", "lon"], 0), {
    name: "Top",
    hint: "Look along time: lon across, lat up (key z); once more: from the other side",
  });
  assert.match(words.axisView(["z", "y", "x"], 2).hint, /^Look along x: y across, z up \(key x\)/);
});

const row = (/** @type {object} */ with_) => ({
  id: 1, first_step: 0, last_step: 3, lifetime_h: 9, voxels: 10, mean: 300, max: 400, footprint_km2: 1e6,
  area_time_km2_h: 1, y: 10, x: 350, touches_edge: false, final: true, ...with_,
});

test("a run without time or sphere has no column that would be empty", () => {
  assert.deepEqual(columns(RUN).map((c) => c.label), ["Object", "Life", "Voxels", "Max", "Mean", "Footprint"]);
  assert.deepEqual(columns({ ...RUN, on_sphere: false, has_time: false }).map((c) => c.label), ["Object", "Steps", "Voxels", "Max", "Mean"]);
  assert.equal(columns({ ...RUN, has_time: false })[1].text(row({})), "4");
});

test("rows are sorted by any column, ties by id, missing values last when descending", () => {
  const rows = [row({ id: 5, voxels: 7 }), row({ id: 2, voxels: 7 }), row({ id: 9, voxels: 30, max: NaN }), row({ id: 4, voxels: 8, max: 900 })];
  const ids = (/** @type {import("../../../display_clients/web/objects.js").Order} */ order) => sorted(rows, columns(RUN), order).map((r) => r.id);
  assert.deepEqual(ids(LARGEST_FIRST), [9, 4, 2, 5]);
  assert.deepEqual(ids({ key: "id", descending: false }), [2, 4, 5, 9]);
  assert.deepEqual(ids({ key: "max", descending: true }), [4, 2, 5, 9]);
  assert.deepEqual(clicked(LARGEST_FIRST, "voxels"), { key: "voxels", descending: false });
  assert.deepEqual(clicked(LARGEST_FIRST, "max"), { key: "max", descending: true });
  assert.deepEqual(clicked(LARGEST_FIRST, "id"), { key: "id", descending: false });
});

test("details say when and where, and what is not certain yet", () => {
  const text = details(row({ first_time: "1959-01-02T06:00:00", last_time: "1959-01-04", final: false, touches_edge: true }), RUN);
  assert.equal(text, "1959-01-02 06:00 to 1959-01-04 · around 10.0° N, 10.0° W · reaches the edge of the data · may still grow");
  assert.deepEqual([leftOut(10_000, 10_000), leftOut(10_001, 10_000)], ["", `The largest 10${THIN}000 of 10${THIN}001:`]);
  assert.deepEqual([caption(0, 0), caption(1, 1), caption(3, 3), caption(200, 411)], ["No object yet", "One object", "All 3", "The largest 200 of 411"]);
  assert.deepEqual([caption(411, 411, 411, false), caption(200, 411, 7), caption(411, 411, 7), caption(411, 411, 300)], [
    "The first 200 of 411", "7 found among the largest 200", "7 found among 411", "200 of 300 found among 411",
  ]);
  assert.deepEqual([needsAll(LARGEST_FIRST, ""), needsAll(LARGEST_FIRST, "max>9"), needsAll({ key: "max", descending: true }, "")], [false, true, true]);
});

test("the strip fits its room and no two chunks share a place, for grids of all kinds", () => {
  for (const counts of [[4, 4, 4], [1, 1, 1], [64, 1, 1], [1, 30, 40], [30, 8, 8], [120, 4, 8], [500, 2, 2], [8, 100, 200]]) {
    for (const width of [360, 348, 200]) {
      const strip = layout(counts, width, 132);
      assert.ok(strip.height <= 132 + 1e-9, `${counts} is ${strip.height} tall`);
      const seen = new Set();
      for (let slab = 0; slab < strip.slabs; slab += 1) {
        for (let y = 0; y < counts[1]; y += 1) {
          for (let x = 0; x < counts[2]; x += 1) {
            const { left, top } = corner(strip, counts, slab, y, x);
            assert.ok(left >= 0 && top >= 0 && left + strip.cell <= width + 1e-6 && top + strip.cell <= strip.height + 1e-6, `${counts}`);
            seen.add(`${left} ${top}`);
          }
        }
      }
      assert.equal(seen.size, strip.slabs * counts[1] * counts[2]);
    }
  }
});

test("the threshold stands beside the field that it cuts", () => {
  const run = { ...RUN, units: "kg m-1 s-1", variable: "ivt", segmenter: "connect", parameters: { threshold: 500 } };
  assert.equal(plain(words.criterion(run)), "ivt ≥ 500 kg m⁻¹ s⁻¹");
  assert.equal(plain(words.criterion({ ...run, units: "" })), "ivt ≥ 500");
  assert.equal(plain(words.criterion({ ...run, segmenter: "another" })), "ivt in kg m⁻¹ s⁻¹");
  assert.equal(words.criterion({ ...RUN, units: "", variable: "mask" }), "mask");
});

test("the strip is as the picture: north is up, whichever way the latitudes run", () => {
  const counts = [1, 3, 2];
  const strip = layout(counts, 360, 132);
  const tops = (/** @type {boolean} */ descending) => [0, 1, 2].map((y) => corner(strip, counts, 0, y, 0, descending).top / strip.cell);
  assert.deepEqual(tops(false), [2, 1, 0]);
  assert.deepEqual(tops(true), [0, 1, 2]);
});

test("a cell that stands for many chunks shows the most telling one", () => {
  const counts = [4, 1, 1];
  const strip = { cell: 3, gap: 1, perLine: 2, slabs: 2, group: 2, height: 3 };
  assert.equal(stateAt([DONE, DONE, PENDING, LEASED], counts, strip, 0, 0, 0), DONE);
  assert.equal(stateAt([DONE, PENDING, PENDING, LEASED], counts, strip, 0, 0, 0), PENDING);
  assert.equal(stateAt([DONE, DONE, PENDING, LEASED], counts, strip, 1, 0, 0), LEASED);
  assert.equal(stateAt([FAILED, LEASED, DONE, DONE], counts, strip, 0, 0, 0), FAILED);
  assert.equal(stateAt([], counts, strip, 0, 0, 0), PENDING, "before the first answer all is to do");
});
