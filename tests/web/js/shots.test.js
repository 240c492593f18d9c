import assert from "node:assert/strict";
import { test } from "node:test";

import { Fragments, progress, wish } from "../../../display_clients/web/shots.js";

const CAMERA = /** @type {any} */ ({ azimuth: 0.5, elevation: 0.25, distance: 4, target: [0, 0, 0] });

test("a picture is asked for in the pixels of the screen, or four times the page's", () => {
  const box = { width: 1000, height: 600 };
  const plain = wish("plain", box, 2, CAMERA, { mode: "map" });
  assert.deepEqual(plain, { path: "picture", body: { width: 1000, height: 600, scale: 2, camera: CAMERA, look: { mode: "map" } } });
  assert.equal(/** @type {any} */ (wish("plain", box, 1.25, CAMERA, {}).body).scale, 1);
  assert.equal(/** @type {any} */ (wish("large", box, 1, CAMERA, {}).body).scale, 4);
  const huge = /** @type {any} */ (wish("large", { width: 3840, height: 2160 }, 1, CAMERA, {}).body);
  assert.ok(huge.width * huge.height * 16 <= 7680 * 4800, "what the server allows");
});

test("a film has a size that is soon made, and keeps its shape", () => {
  const { path, body } = /** @type {any} */ (wish("turn", { width: 1920, height: 900 }, 2, CAMERA, {}));
  assert.equal(path, "film");
  assert.equal(body.of, "turn");
  assert.deepEqual([body.width, body.height], [1280, 600]);
  assert.deepEqual([wish("time", { width: 30, height: 20 }, 1, CAMERA, {}).body].map((/** @type {any} */ one) => [one.width, one.height]), [[64, 64]]);
});

/** @param {string} type @param {number} size */
const box = (type, size) => [0, 0, size >> 8, size & 255, ...[...type].map((letter) => letter.charCodeAt(0)), ...new Array(size - 8).fill(7)];

test("the fragments of a film are counted however it is cut", () => {
  const file = Uint8Array.from([...box("ftyp", 28), ...box("moov", 300), ...box("moof", 100), ...box("mdat", 1000), ...box("moof", 90), ...box("mdat", 8)]);
  for (const step of [1, 3, 7, 100, 5000]) {
    const fragments = new Fragments();
    for (let at = 0; at < file.length; at += step) fragments.push(file.subarray(at, at + step));
    assert.equal(fragments.count, 2);
    assert.equal(fragments.share(100), 0.5);
    assert.equal(fragments.share(40), 1);
    assert.equal(fragments.share(0), 0);
  }
});

test("what is no file of ours counts nothing and does not hang", () => {
  const fragments = new Fragments();
  fragments.push(Uint8Array.from([0, 0, 0, 0, ...[..."moof"].map((letter) => letter.charCodeAt(0)), ...box("moof", 20)]));
  assert.equal(fragments.count, 1);
});

test("it is said what is made, and how far it is", () => {
  assert.equal(progress("large", null), "The picture is being made …");
  assert.equal(progress("time", 0.509), "The film is being made: 50 %");
});
