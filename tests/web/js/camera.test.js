import assert from "node:assert/strict";
import { test } from "node:test";

import * as turn from "../../../display_clients/web/camera.js";
import { golden } from "./golden.js";

const SIZE = { width: 1200, height: 800 };
const HOME = turn.fit(SIZE);

/** @param {number} a @param {number} b */
const near = (a, b, within = 1e-9) => assert.ok(Math.abs(a - b) <= within, `${a} is not ${b}`);

/** Where a point of the plane through the target shows up, in pixels from the middle (y down). */
function project(camera, point) {
  const { right, up } = turn.basis(camera);
  const unit = turn.unitsPerPixel(camera, SIZE);
  const away = point.map((n, i) => n - camera.target[i]);
  const dot = (a, b) => a.reduce((sum, n, i) => sum + n * b[i], 0);
  return { x: dot(away, right) / unit, y: -dot(away, up) / unit };
}

/** The point of that plane under a pixel. */
function under(camera, { x, y }) {
  const { right, up } = turn.basis(camera);
  const unit = turn.unitsPerPixel(camera, SIZE);
  return camera.target.map((n, i) => n + (right[i] * x - up[i] * y) * unit);
}

test("bounds, fit and up are the renderer's", () => {
  const { bounds, fits, eyes } = golden.camera;
  assert.deepEqual([turn.CLOSEST, turn.FARTHEST, turn.REACH], [bounds.closest, bounds.farthest, bounds.reach]);
  near(turn.VIEW_ANGLE, bounds.angle);
  assert.deepEqual([turn.HOME.azimuth, turn.HOME.elevation], bounds.home);
  for (const { size, distance } of fits) near(turn.fitDistance({ width: size[0], height: size[1] }), distance);
  for (const { camera, forward, up } of eyes) {
    const ours = turn.basis(camera);
    ours.up.forEach((n, i) => near(n, up[i]));
    const [fx, fy, fz] = forward;
    const cross = [fy * up[2] - fz * up[1], fz * up[0] - fx * up[2], fx * up[1] - fy * up[0]];
    ours.right.forEach((n, i) => near(n, cross[i], 1e-6));
  }
});

test("the scene turns with the pointer and back again", () => {
  const turned = turn.orbit(HOME, 40, -25, SIZE);
  assert.ok(turned.azimuth < HOME.azimuth, "dragged to the right, the eye walks to the left");
  assert.ok(turned.elevation < HOME.elevation, "dragged up, the eye sinks");
  const back = turn.orbit(turned, -40, 25, SIZE);
  near(back.azimuth, HOME.azimuth);
  near(back.elevation, HOME.elevation);
});

test("elevation stops at the poles and azimuth never runs away", () => {
  assert.equal(turn.orbit(HOME, 0, 1e5, SIZE).elevation, Math.PI / 2);
  assert.equal(turn.orbit(HOME, 0, -1e5, SIZE).elevation, -Math.PI / 2);
  let camera = HOME;
  for (let i = 0; i < 1000; i += 1) camera = turn.orbit(camera, 777, 0, SIZE);
  assert.ok(Math.abs(camera.azimuth) <= Math.PI + 1e-9);
});

test("what is grabbed stays under the pointer while panning", () => {
  for (const camera of [HOME, turn.along(0, SIZE), turn.along(2, SIZE)]) {
    const grabbed = under(camera, { x: 100, y: -50 });
    const moved = turn.pan(camera, 60, 35, SIZE);
    const now = project(moved, grabbed);
    near(now.x, 160, 1e-6);
    near(now.y, -15, 1e-6);
  }
});

test("what lies under the pointer stays there while zooming", () => {
  for (const factor of [0.5, 0.9, 1.4]) {
    const spot = { x: -220, y: 130 };
    const grabbed = under(HOME, spot);
    const now = project(turn.zoom(HOME, factor, spot, SIZE), grabbed);
    near(now.x, spot.x, 1e-6);
    near(now.y, spot.y, 1e-6);
  }
});

test("the distance and the target keep within their bounds", () => {
  assert.equal(turn.zoom(HOME, 1e-9, { x: 0, y: 0 }, SIZE).distance, turn.CLOSEST);
  assert.equal(turn.zoom(HOME, 1e9, { x: 0, y: 0 }, SIZE).distance, turn.FARTHEST);
  const lost = turn.pan(turn.fit(SIZE), 1e7, -1e7, SIZE);
  assert.ok(lost.target.every((n) => Math.abs(n) <= turn.REACH));
});

test("fingers that part zoom in, fingers that move together pan", () => {
  const before = /** @type {const} */ ([{ x: -50, y: 0 }, { x: 50, y: 0 }]);
  const apart = turn.pinch(HOME, [...before], [{ x: -100, y: 0 }, { x: 100, y: 0 }], SIZE);
  near(apart.distance, HOME.distance / 2);
  const together = turn.pinch(HOME, [...before], [{ x: -30, y: 10 }, { x: 70, y: 10 }], SIZE);
  near(together.distance, HOME.distance);
  assert.deepEqual(together.target, turn.pan(HOME, 20, 10, SIZE).target);
  const crossed = turn.pinch(HOME, [...before], [{ x: 0, y: 0 }, { x: 0, y: 0 }], SIZE);
  assert.ok(Number.isFinite(crossed.distance));
});

test("fit shows the whole scene in wide and in tall pictures", () => {
  for (const size of [SIZE, { width: 390, height: 844 }, { width: 700, height: 700 }]) {
    const { distance, target } = turn.fit(size);
    const shorter = Math.min(1, size.width / size.height);
    const half = Math.atan(Math.tan(turn.VIEW_ANGLE / 2) * shorter);
    assert.ok(Math.asin(1 / distance) < half, "the sphere around the scene is inside the narrower angle");
    assert.deepEqual(target, [0, 0, 0]);
  }
});

test("axis views look straight along their axis", () => {
  near(turn.basis(turn.along(0, SIZE)).up[1], 1);
  near(turn.basis(turn.along(0, SIZE)).right[0], 1);
  near(turn.basis(turn.along(1, SIZE)).right[0], 1);
  near(turn.basis(turn.along(2, SIZE)).right[1], 1);
  near(turn.basis(turn.along(2, SIZE)).up[2], 1);
});

test("keys turn, move, zoom and fit; others mean nothing", () => {
  assert.ok(turn.press(HOME, "ArrowRight", false, SIZE).azimuth < HOME.azimuth);
  assert.notDeepEqual(turn.press(HOME, "ArrowUp", true, SIZE).target, HOME.target);
  assert.ok(turn.press(HOME, "+", false, SIZE).distance < HOME.distance);
  assert.ok(turn.press(HOME, "-", false, SIZE).distance > HOME.distance);
  assert.deepEqual(turn.press(turn.along(1, SIZE), "0", false, SIZE), HOME);
  assert.deepEqual(turn.press(turn.along(1, SIZE), "r", false, SIZE), HOME);
  assert.equal(turn.press(HOME, "Tab", false, SIZE), null);
});

test("wheels that count lines and wheels that count pixels zoom alike", () => {
  near(Math.log(turn.wheelFactor(3, 1)) / Math.log(turn.wheelFactor(100, 0)), 1, 0.02);
  near(turn.wheelFactor(100, 0) * turn.wheelFactor(-100, 0), 1);
  assert.ok(turn.wheelFactor(1e6, 0) < 2, "a wild delta is tamed");
});

test("the picture has the canvas's real pixels, within bounds, in its aspect", () => {
  assert.deepEqual(turn.pictureSize({ width: 800, height: 600 }, 1), { width: 800, height: 600 });
  assert.deepEqual(turn.pictureSize({ width: 800, height: 500 }, 2), { width: 1600, height: 1000 });
  assert.deepEqual(turn.pictureSize({ width: 2560, height: 1440 }, 2), { width: 1920, height: 1080 });
  const tall = turn.pictureSize({ width: 390, height: 844 }, 3);
  assert.equal(tall.height, 1200);
  near(tall.width / tall.height, 390 / 844, 1e-3);
  assert.deepEqual(turn.pictureSize({ width: 1, height: 1 }, 1), { width: 16, height: 16 });
});
