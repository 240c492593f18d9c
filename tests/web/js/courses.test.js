/** Small charts in the table, and following an object through time. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { advance, beginning } from "../../../display_clients/web/clock.js";
import { drawn, due, HEIGHT, keyOf, MOST, WIDTH } from "../../../display_clients/web/courses.js";
import { centred, placeAt, there } from "../../../display_clients/web/following.js";

const row = (/** @type {number} */ voxels, final = false) => ({ voxels, final });

test("only what is in sight and not known as it is now is asked for, in bounds", () => {
  const rows = new Map([[1, row(10)], [2, row(20)], [3, row(30, true)]]);
  const known = new Map([[2, { key: keyOf(row(20)) }], [3, { key: keyOf(row(30)) }]]);
  assert.deepEqual(due([2, 1, 9], rows, known), [1], "2 is known, 9 is no row");
  assert.deepEqual(due([3], rows, known), [3], "it has become final");
  assert.deepEqual(due([], rows, new Map()), []);
  const many = new Map(Array.from({ length: 200 }, (_, i) => [i, row(i)]));
  assert.equal(due(many.keys(), many, new Map()).length, MOST);
});

test("a chart stays in its box, whatever it shows", () => {
  for (const size of [[5], [0, 0], [1, 9, 3], Array(32).fill(7), [1e12, 1]]) {
    const { area, line } = drawn({ id: 1, first_step: 0, last_step: 9, size, mean: size });
    assert.match(area, /^M.*Z$/);
    for (const [, x, y] of `${area} ${line}`.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
      assert.ok(Number(x) >= 0 && Number(x) <= WIDTH && Number(y) >= 0 && Number(y) <= HEIGHT, `${x} ${y}`);
    }
  }
  assert.deepEqual(drawn({ id: 1, first_step: 0, last_step: 0, size: [], mean: [] }), { area: "", line: "" });
});

const life = [4, 5, 8].map((step) => ({ step, voxels: 1, area_km2: 1, mean: 1, max: 1, y: 10 * step, x: step }));

test("an object is where it was at the nearest step of its life, and nowhere before and after", () => {
  assert.equal(there(life, 3), null);
  assert.equal(there(life, 9), null);
  assert.equal(there([], 0), null);
  assert.equal(there(life, 5)?.y, 50);
  assert.equal(there(life, 7)?.y, 80);
});

test("the camera looks at the object and keeps its direction", () => {
  const camera = { azimuth: 1, elevation: 0.5, distance: 3, target: /** @type {[number, number, number]} */ ([0, 0, 0]) };
  const room = { half: [0.8, 0.5, 0.4], ends: /** @type {[number, number][]} */ ([[0, 360], [-90, 90], [0, 240]]), steps: 240 };
  const at = (/** @type {number} */ step, /** @type {number} */ y, /** @type {number} */ x) => ({ ...life[0], step, y, x });
  const cube = centred(camera, "cube", at(119.5, 0, 180), room);
  assert.deepEqual(cube, { ...camera, target: [0, 0, 0] }, "the middle of all three");
  assert.deepEqual(centred(camera, "cube", at(239.5, 90, 360), room).target, [0.8, 0.5, 0.4]);
  // The map's half diagonal is 0.95: its corner lies that far from the middle.
  assert.ok(Math.abs(Math.hypot(...centred(camera, "map", at(0, 90, 360), room).target) - 0.95) < 1e-9);
  // The eye stands at -y at azimuth 0, at +x a quarter later: above 0° E, which is +x.
  const globe = centred(camera, "globe", at(0, 30, 0), room);
  assert.ok(Math.abs(globe.azimuth - Math.PI / 2) < 1e-9 && Math.abs(globe.elevation - Math.PI / 6) < 1e-9);
  assert.equal(globe.distance, 3);
});

test("a life is played from its first to its last step, and again", () => {
  assert.equal(beginning(null, 20, 10), 10);
  assert.equal(beginning(5, 20, 10), 10);
  assert.equal(beginning(15, 20, 10), 15);
  assert.deepEqual(advance(20.5, 1, 1, 20, true, 10), { step: 10.5, ended: false });
  assert.deepEqual(advance(20.5, 1, 1, 20, false, 10), { step: 20, ended: true });
  assert.deepEqual(advance(10, 1, 1, 10, true, 10), { step: 10, ended: true }, "one step is no film");
});

test("a place of the volume follows from its shares, whichever way y runs, and nobody knows one before the axes do", () => {
  const room = { half: [1, 1, 1], ends: /** @type {[number, number][]} */ ([[0, 360], [-90, 90], [0, 10]]), steps: 240 };
  assert.deepEqual(placeAt([0.5, 0.25, 0.75], room, false), { step: 120, x: 270, y: -45 });
  assert.deepEqual(placeAt([0.5, 0.25, 0.75], room, true), { step: 120, x: 270, y: 45 });
  assert.equal(placeAt([0.5, 0.25, 0.75], { ...room, ends: [] }, false), null);
});
