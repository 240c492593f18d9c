import assert from "node:assert/strict";
import { test } from "node:test";

import { Chain, codecOf, MOST_FAILURES, SOUND, within } from "../../../display_clients/web/video.js";
import { H264, JPEG, KEY, PNG, STILL } from "../../../display_clients/web/wire.js";

/** @param {number} frame @param {number} [flags] @param {number} [codec] @returns {any} */
const picture = (frame, flags = 0, codec = H264) => ({ frame, flags, codec });

test("a chain begins with a picture that decodes by itself, and stills do not break it", () => {
  const chain = new Chain();
  assert.equal(chain.arrive(picture(1, KEY)), "decode");
  assert.equal(chain.arrive(picture(2)), "decode");
  assert.equal(chain.arrive(picture(3, KEY | STILL, PNG)), "drop");
  assert.equal(chain.arrive(picture(4)), "decode");
});

test("after a picture that is missing one is asked for, once, and nothing is decoded before it comes", () => {
  const chain = new Chain();
  chain.arrive(picture(1, KEY));
  assert.equal(chain.arrive(picture(3)), "ask");
  assert.equal(chain.arrive(picture(4)), "drop");
  assert.equal(chain.arrive(picture(5, KEY, JPEG)), "drop");
  assert.equal(chain.arrive(picture(6)), "drop");
  assert.equal(chain.arrive(picture(7, KEY)), "decode");
  assert.equal(chain.arrive(picture(8)), "decode");
  assert.equal(chain.arrive(picture(10)), "ask");
});

test("a new connection begins with one that decodes by itself", () => {
  const chain = new Chain();
  chain.arrive(picture(1, KEY));
  chain.reset();
  assert.equal(chain.arrive(picture(1)), "ask");
  chain.reset();
  assert.equal(chain.arrive(picture(1, KEY)), "decode");
});

test("what fails again and again is given up, and failures far apart are forgotten", () => {
  const chain = new Chain();
  for (let n = 1; n < MOST_FAILURES; n += 1) assert.ok(chain.failed());
  assert.ok(!chain.failed());
  const other = new Chain();
  for (let n = 0; n < 10; n += 1) {
    assert.ok(other.failed());
    assert.equal(other.arrive(picture(n + 1)), "drop", "it has been asked for already");
    assert.equal(other.arrive(picture(n + 2, KEY)), "decode");
    for (let shown = 0; shown < SOUND; shown += 1) other.decoded();
  }
});

test("the codec is read from the picture, wherever its parameters stand", () => {
  const parameters = [0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01];
  assert.equal(codecOf(Uint8Array.of(0, 0, 0, 1, ...parameters, 0)), "avc1.42c01f");
  assert.equal(codecOf(Uint8Array.of(0, 0, 0, 1, 0x06, 5, 0, 0, 1, ...parameters)), "avc1.42c01f");
  assert.equal(codecOf(Uint8Array.of(0, 0, 0, 1, 0x41, 0x9a, 0x20, 0xeb, 6, 0x15, 0x6f)), null);
  for (const none of [[], [0, 0, 1], [0, 0, 1, 0x67, 0x42]]) assert.equal(codecOf(Uint8Array.from(none)), null);
});

test("of a picture of even size as much is seen as was asked for", () => {
  const asked = { width: 641, height: 361 };
  assert.deepEqual(within({ width: 642, height: 362 }, asked), asked);
  assert.deepEqual(within({ width: 320, height: 180 }, asked), { width: 320, height: 180 });
  assert.deepEqual(within({ width: 322, height: 182 }, { width: 643, height: 363 }), { width: 321, height: 181 });
  assert.deepEqual(within({ width: 640, height: 360 }, { width: 640, height: 360 }), { width: 640, height: 360 });
  assert.deepEqual(within({ width: 484, height: 272 }, { width: 643, height: 363 }), { width: 484, height: 272 });
});
