import assert from "node:assert/strict";
import { test } from "node:test";

import { along } from "../../../display_clients/web/camera.js";
import { cellAt, corner, layout, middleOf } from "../../../display_clients/web/chunks.js";
import { advance, beginning } from "../../../display_clients/web/clock.js";
import { read, written } from "../../../display_clients/web/fragment.js";
import { chart, measures, ticks, when } from "../../../display_clients/web/life.js";
import { atStep, choose, differences, inMode, oneColour, section, sectionOf, sound, spanOf, unusual, usual } from "../../../display_clients/web/look.js";
import { CLICK_MS, MOST_CLICKS, PATIENCE_MS, Questions } from "../../../display_clients/web/questions.js";
import { columns, matches } from "../../../display_clients/web/objects.js";
import { added, moved, pointAt, removed, shown } from "../../../display_clients/web/transfer.js";
import { golden } from "./golden.js";

const RICH = golden.looks[1].look;

test("a link gives back what it was made from, and a bare page has a bare link", () => {
  assert.equal(written(null, usual()), "");
  assert.deepEqual(read(""), { camera: null, look: usual(), panel: null });
  const camera = { azimuth: -0.5, elevation: 1.25, distance: 3.5, target: /** @type {[number, number, number]} */ ([0.125, -0.25, 0]) };
  assert.deepEqual(read(written(camera, RICH)), { camera, look: RICH, panel: null });
  assert.deepEqual(read(written(null, RICH)), { camera: null, look: RICH, panel: null });
  for (const panel of [true, false]) assert.deepEqual(read(written(camera, usual(), panel)), { camera, look: usual(), panel });
  const odd = read(written({ ...camera, azimuth: -0.123456789123 }, RICH)).camera?.azimuth ?? 0;
  assert.equal(Math.fround(odd), Math.fround(-0.123456789123), "to the last bit that is sent");
});

test("a link that somebody broke shows what is left of it, and nothing that cannot be drawn", () => {
  for (const hash of ["#look=%7B", "#look=7", "#camera=1,2", "#camera=0,0,-1,0,0,0", "#camera=NaN,0,1,0,0,0", "#%", "#look=null", "#camera=,,,,,", "#panel=half"]) {
    assert.deepEqual(read(hash), { camera: null, look: usual(), panel: null }, hash);
  }
  const look = { mode: "sphere", time: "3", window: [1], selected: [5, -1, 2.5, 5, 1e300, null], planes: [{ point: [0, 0, 0], normal: [0, 0, 0] }, 7], opacity: 9, field: { draw: "all", colours: "none", low: Infinity, opacity_points: [[0, 2]] } };
  assert.deepEqual(sound(look), { ...usual(), selected: [5] });
  assert.equal(sound({ selected: Array.from({ length: 99 }, (_, i) => i + 1) }).selected.length, 64);
  for (const colour of ["red", "#fff", "#56b4e", "#56b4e99", "#56b4eg", " #56b4e9", "#56b4e9\n", 0, null]) {
    assert.deepEqual(sound({ objects: { colour_by: "one", colour } }).objects, { colour_by: "one", colour: usual().objects.colour }, String(colour));
  }
  for (const objects of [null, "one", { colour_by: "size" }, ["one"]]) assert.deepEqual(sound({ objects }), usual());
  assert.equal(read(`#camera=0,0,9999,0,0,0`).camera?.distance, 40, "a camera is bounded");
});

test("only what is not as usual is said", () => {
  assert.deepEqual(unusual(usual()), {});
  assert.deepEqual(unusual({ ...usual(), time: 4, field: { ...usual().field, draw: "slice" } }), { time: 4, field: { draw: "slice" } });
});

test("all objects may have one colour, which is kept while each has its own again", () => {
  assert.equal(oneColour(usual()), null);
  const blue = sound({ objects: { colour_by: "one", colour: "#56B4E9" } });
  assert.equal(oneColour(blue), "#56b4e9");
  assert.deepEqual(unusual(blue), { objects: { colour_by: "one", colour: "#56b4e9" } });
  assert.equal(oneColour({ ...blue, objects: { ...blue.objects, colour_by: "id" } }), null);
  assert.deepEqual(differences(usual(), blue), { objects: { colour_by: "id", colour: usual().objects.colour } }, "for a wall, what is other");
});

test("choosing marks one, besides others where that is wanted, and lets go the second time", () => {
  const one = choose(usual(), 7, false);
  assert.deepEqual(one.selected, [7]);
  assert.deepEqual(choose(one, 8, false).selected, [8]);
  const two = choose(one, 8, true);
  assert.deepEqual(two.selected, [7, 8]);
  assert.deepEqual(choose(two, 7, true).selected, [8]);
  assert.deepEqual(choose(two, 7, false).selected, [7], "of several, the one that is clicked stays");
  const alone = { ...one, isolate: true };
  assert.deepEqual(choose(alone, 7, false), usual(), "with nothing marked, all are shown");
  assert.deepEqual(choose(alone, null, false), usual());
  assert.deepEqual(choose(alone, null, true), alone);
});

test("a step is shown with those before it, alone, or with all; the Earth has no window", () => {
  const look = atStep(usual(), 9, "until");
  assert.deepEqual([look.time, look.window, spanOf(look)], [9, [0, 9], "until"]);
  assert.deepEqual([atStep(look, 4, "only").window, spanOf(atStep(look, 4, "only"))], [[4, 4], "only"]);
  assert.deepEqual([atStep(look, 4, "all").window, spanOf(atStep(look, 4, "all"))], [null, "all"]);
  assert.deepEqual(atStep(look, null, "until"), usual());
  const map = inMode(look, "map", "until");
  assert.deepEqual([map.mode, map.time, map.window], ["map", 9, null]);
  assert.deepEqual(inMode(map, "cube", "until"), look);
});

test("a section reads as it was made", () => {
  const half = [0.8, 0.4, 0.3];
  for (const axis of /** @type {const} */ ([0, 1, 2])) {
    for (const turned of [false, true]) {
      const plane = section(axis, 0.25, turned, half);
      assert.equal(plane.point[axis], -0.5 * half[axis]);
      assert.deepEqual(sectionOf(plane, half), { axis, at: 0.25, turned });
    }
  }
  assert.equal(sectionOf(undefined, half), null);
});

test("playing goes on, begins again or ends, and does not leap after a pause", () => {
  assert.deepEqual(advance(3, 0.5, 4, 10, false), { step: 5, ended: false });
  assert.deepEqual(advance(10.5, 0.2, 5, 10, true), { step: 0.5, ended: false });
  assert.deepEqual(advance(10.5, 0.2, 5, 10, false), { step: 10, ended: true });
  assert.deepEqual(advance(0, 600, 5, 99, false), { step: 5, ended: false });
  assert.deepEqual([beginning(null, 9), beginning(9, 9), beginning(4, 9)], [0, 0, 4]);
});

test("points of the transfer function are caught, added, moved between their neighbours and removed", () => {
  const ramp = shown([]);
  assert.deepEqual(ramp, [[0, 0], [1, 1]]);
  assert.equal(pointAt(ramp, [0.98, 0.97], 0.05, 0.1), 1);
  assert.equal(pointAt(ramp, [0.5, 0.5], 0.05, 0.1), -1);
  const { points, place } = added(ramp, [0.4, 0.9]);
  assert.deepEqual([points, place], [[[0, 0], [0.4, 0.9], [1, 1]], 1]);
  assert.deepEqual(moved(points, 1, [5, -1])[1], [0.998, 0]);
  assert.deepEqual(removed(points, 1), ramp);
  assert.deepEqual(removed(ramp, 0), ramp, "two remain");
  const full = Array.from({ length: 16 }, (_, i) => /** @type {[number, number]} */ ([i / 15, 0]));
  assert.equal(added(full, [0.5, 0.5]).place, -1);
});

test("one question is on its way, the latest hovering waits, and a click is not pushed aside", () => {
  const questions = new Questions();
  questions.ask({ x: 0.1, y: 0.1, why: "hover" });
  assert.equal(questions.due(0)?.number, 1);
  questions.ask({ x: 0.2, y: 0.2, why: "hover" });
  questions.ask({ x: 0.3, y: 0.3, why: "choose" });
  questions.ask({ x: 0.4, y: 0.4, why: "hover" });
  assert.equal(questions.due(10), null, "one is on its way");
  assert.equal(questions.answered(9), null);
  assert.equal(questions.answered(1)?.why, "hover");
  assert.deepEqual(questions.due(20)?.x, 0.3);
  questions.ask({ x: 0.5, y: 0.5, why: "hover" });
  assert.equal(questions.due(20 + PATIENCE_MS), null, "a click is waited for longer");
  assert.equal(questions.answered(2)?.why, "choose");
  assert.equal(questions.due(30 + PATIENCE_MS)?.x, 0.5);
  questions.ask({ x: 0.6, y: 0.6, why: "hover" });
  assert.equal(questions.due(30 + 2 * PATIENCE_MS)?.x, 0.6, "hovering that is not answered is given up");
  questions.forget();
  assert.equal(questions.answered(4), null, "the pointer has left");
});

test("no click is dropped: they wait for each other, and are asked again over a new line", () => {
  const questions = new Questions();
  for (const x of [0.1, 0.2, 0.3]) questions.ask({ x, y: 0, why: "add" });
  assert.equal(questions.due(0)?.x, 0.1);
  questions.ask({ x: 0.9, y: 0, why: "hover" });
  questions.forget();
  questions.reset();
  assert.deepEqual([questions.due(10)?.x, questions.due(11)], [0.1, null], "the line was lost before its answer");
  assert.equal(questions.answered(1), null);
  assert.equal(questions.answered(2)?.x, 0.1);
  assert.equal(questions.due(20)?.x, 0.2);
  assert.equal(questions.due(20 + CLICK_MS)?.x, 0.3, "a click that nobody answers does not hold up the next for ever");
  assert.equal(questions.waiting, false);
  for (let n = 0; n < 2 * MOST_CLICKS; n += 1) questions.ask({ x: 0, y: 0, why: "choose" });
  assert.equal(questions.clicks.length, MOST_CLICKS);
});

test("the chart of a life has round marks, and its line goes through what happened", () => {
  assert.deepEqual(ticks(0, 9.4), [0, 5, 10]);
  assert.deepEqual(ticks(596, 1454), [500, 1000, 1500]);
  assert.deepEqual(ticks(3, 3), [3, 4]);
  const life = [3, 4, 5].map((step) => ({ step, voxels: 10 * step, area_km2: step === 4 ? null : 1e6, mean: 600, max: 700, y: 0, x: 0 }));
  const { points, line, step, x } = chart(life, "voxels");
  assert.deepEqual(points.map((p) => p.n), [30, 40, 50]);
  assert.match(line, /^M46\.0 .*L412\.0 [\d.]+$/);
  assert.deepEqual([step(x(4)), chart(life, "area_km2").points.length], [4, 2]);
  assert.deepEqual([chart([], "max").line, measures({ on_sphere: false, variable: "v" })[0].key], ["", "voxels"]);
  assert.equal(measures({ on_sphere: false, variable: "ivt", units: "kg m-1" })[1].label, "Mean ivt (kg\u00a0m⁻¹)");
  assert.deepEqual([when({ step: 4 }), when({ step: 4, time: "1959-01-02T06:00:00" })], ["step 4", "1959-01-02 06:00"]);
});

test("a cell of the strip is found where it is drawn, and its middle where it lies", () => {
  for (const counts of [[4, 4, 4], [15, 2, 4], [1, 1, 1]]) {
    const strip = layout(counts, 370, 132);
    for (const descending of [false, true]) {
      for (const cell of [{ slab: 0, y: 0, x: 0 }, { slab: strip.slabs - 1, y: counts[1] - 1, x: counts[2] - 1 }]) {
        const { left, top } = corner(strip, counts, cell.slab, cell.y, cell.x, descending);
        assert.deepEqual(cellAt(strip, counts, left + strip.cell / 2, top + strip.cell / 2, descending), cell);
      }
    }
    assert.equal(cellAt(strip, counts, -1, 0), null);
    assert.equal(cellAt(strip, counts, 5000, 5000), null);
  }
  assert.deepEqual(middleOf(layout([4, 4, 4], 370, 132), [4, 4, 4], { slab: 1, y: 0, x: 3 }), [0.375, 0.125, 0.875]);
});

test("a search finds ids, words of what is said, and compares columns", () => {
  const run = { has_time: true, on_sphere: true, units: "", dims: ["time"], variable: "ivt" };
  const row = /** @type {any} */ ({ id: 1234, max: 700, mean: 500, voxels: 40, lifetime_h: 30, footprint_km2: 1, y: -3, x: 5, final: true, first_time: "1959-01-02T06:00:00", last_time: "1959-01-03T06:00:00" });
  const found = (/** @type {string} */ query) => matches(row, columns(run), run, query);
  assert.deepEqual(["", "123", "1959-01", "FINAL 12", "max>600", "max>=700 voxels<41", "life>24"].map(found), Array(7).fill(true));
  assert.deepEqual(["99", "grow", "max>700", "voxels=4", "max>600 mean>600"].map(found), Array(5).fill(false));
});

test("an axis is looked along from both sides", () => {
  const size = { width: 800, height: 600 };
  assert.equal(along(0, size, true).elevation, -Math.PI / 2);
  assert.ok(Math.abs(Math.abs(along(1, size, true).azimuth) - Math.PI) < 1e-12);
  assert.ok(Math.abs(along(2, size, true).azimuth + Math.PI / 2) < 1e-12);
});
