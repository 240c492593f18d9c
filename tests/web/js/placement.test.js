import assert from "node:assert/strict";
import { test } from "node:test";

import { basis } from "../../../display_clients/web/camera.js";
import { differences, usual } from "../../../display_clients/web/look.js";
import { anchorOf, cameraAt, columns, placementOf, soundPlace, turnOf } from "../../../display_clients/web/placement.js";

const HALF = Math.SQRT1_2;
const near = (/** @type {number[]} */ a, /** @type {number[]} */ b, by = 1e-9) => a.forEach((n, i) => assert.ok(Math.abs(n - b[i]) < by, `${a} is not ${b}`));
const dot = (/** @type {number[]} */ a, /** @type {number[]} */ b) => a.reduce((sum, n, i) => sum + n * b[i], 0);
const camera = (azimuth, elevation, distance, target = [0, 0, 0]) => ({ azimuth, elevation, distance, target });
const CAMERAS = [camera(0, 0, 4), camera(-0.55, 0.5, 3.2), camera(2.9, -1.2, 0.7), camera(1, 1.5, 12), camera(-3, -0.01, 4), camera(0.4, Math.PI / 2, 4), camera(-2, -Math.PI / 2, 4)];
const ANCHORS = [
  { head: [0, 1500, 0], ahead: [0, 0, -1], away: 2000 },
  { head: [-300, 1700, 900], ahead: [0.6, -0.48, -0.64], away: 2500 },
  { head: [0, 1500, 0], ahead: [0, -1, 0], away: 1500 },
];

test("a turn is where it takes the axes, and back", () => {
  near(columns([-HALF, 0, 0, HALF])[2], [0, 1, 0]);
  for (const turn of [[0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], [0.1, -0.7, 0.3, 0.2].map((n) => n / Math.sqrt(0.63))]) {
    const again = turnOf(columns(turn));
    near(again.map((n) => n * Math.sign(dot(again, turn))), turn);
  }
});

test("the head sees the scene as the camera does, point by point", () => {
  for (const one of [...CAMERAS, camera(0.7, 0.3, 2, [0.4, -0.2, 0.1])]) {
    for (const anchor of ANCHORS) {
      const { centre, turn, size } = placementOf(one, anchor);
      const { right, up } = basis(one);
      const back = [right[1] * up[2] - right[2] * up[1], right[2] * up[0] - right[0] * up[2], right[0] * up[1] - right[1] * up[0]];
      const to = columns(turn);
      const level = [anchor.ahead[2] * -1, 0, anchor.ahead[0]];
      const across = Math.hypot(...level) < 1e-3 ? [1, 0, 0] : level.map((n) => n / Math.hypot(...level));
      for (const point of [[0, 0, 0], [1, 0, 0], [0.2, -0.7, 0.5], [0, 0, -1]]) {
        const eye = one.target.map((n, i) => n + one.distance * back[i]);
        const seen = point.map((n, i) => n - eye[i]);
        const room = [0, 1, 2].map((i) => centre[i] + size * (to[0][i] * point[0] + to[1][i] * point[1] + to[2][i] * point[2]) - anchor.head[i]);
        near([dot(room, across), dot(room, anchor.ahead)].map((n) => n / size), [dot(seen, right), -dot(seen, back)], 1e-6);
        near([Math.hypot(...room) / size], [Math.hypot(...seen)], 1e-6);
      }
    }
  }
});

test("a camera that is brought to a wall comes back as it was", () => {
  for (const one of CAMERAS) {
    for (const anchor of ANCHORS) {
      const placement = placementOf(one, anchor);
      const again = cameraAt(placement, anchor.head);
      near([again.elevation, again.distance], [one.elevation, one.distance], 1e-6);
      near([Math.cos(again.azimuth), Math.sin(again.azimuth)], [Math.cos(one.azimuth), Math.sin(one.azimuth)], 1e-6);
      const there = anchorOf(placement, anchor.head);
      near([...there.ahead, there.away], [...anchor.ahead, anchor.away], 1e-6);
    }
  }
});

test("a head in the scene's middle looks straight ahead", () => {
  assert.deepEqual(anchorOf({ centre: [0, 0, 0], turn: [0, 0, 0, 1], size: 1000 }, [0, 0, 0]).ahead, [0, 0, -1]);
});

test("what is no placement is none", () => {
  const [placement, head] = [{ centre: [0, 0, 0], turn: [0, 0, 0, 1], size: 1000 }, { position: [0, 0, 0], turn: [0, 0, 0, 1] }];
  assert.ok(soundPlace(placement, head));
  for (const [one, other] of [[null, head], [placement, null], [{ ...placement, size: 0 }, head], [{ ...placement, turn: [0, 0, 0, 0] }, head], [{ ...placement, centre: [1, 2, "3"] }, head]]) {
    assert.equal(soundPlace(one, other), null);
  }
});

test("of a look only what is other goes to the wall", () => {
  const look = { ...usual(), time: 4, field: { ...usual().field, opacity: 0.5 } };
  assert.deepEqual(differences(look, usual()), { time: 4, field: { opacity: 0.5 } });
  assert.deepEqual(differences(usual(), look), { time: null, field: { opacity: 0.6 } });
});
