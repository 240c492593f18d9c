import assert from "node:assert/strict";
import { test } from "node:test";

import { objectColour } from "../../../display_clients/web/colour.js";
import { ACK_SIZE, decodeFrame, encodeAck, encodeInput, FRAME_HEADER, INPUT_SIZE, Refused } from "../../../display_clients/web/wire.js";
import { bytes, golden, hex } from "./golden.js";

test("a frame reads as Python wrote it", () => {
  assert.ok(golden.frames.length > 2);
  for (const { bytes: raw, render_ms: renderMs, encode_ms: encodeMs, ...rest } of golden.frames) {
    assert.deepEqual(decodeFrame(bytes(raw)).frame, { ...rest, renderMs, encodeMs });
    assert.equal(raw.length, 2 * FRAME_HEADER);
  }
});

test("the picture behind the header is not copied", () => {
  const message = bytes(`${golden.frames[0].bytes}ffd8ff`);
  const { payload } = decodeFrame(message);
  assert.deepEqual([...payload], [0xff, 0xd8, 0xff]);
  assert.equal(payload.buffer, message);
});

test("an input and an acknowledgement have the bytes that Python expects", () => {
  for (const { bytes: raw, ...state } of golden.inputs) {
    assert.equal(hex(encodeInput(state)), raw);
    assert.equal(raw.length, 2 * INPUT_SIZE);
  }
  for (const { bytes: raw, frame, decode_ms: decodeMs } of golden.acks) {
    assert.equal(hex(encodeAck(frame, decodeMs)), raw);
    assert.equal(raw.length, 2 * ACK_SIZE);
  }
});

test("too short a frame and another version are refused with a sentence", () => {
  assert.throws(() => decodeFrame(new ArrayBuffer(39)), (why) => why instanceof Refused && /39 bytes/.test(why.message));
  const newer = bytes(golden.frames[0].bytes);
  new DataView(newer).setUint8(0, 2);
  assert.throws(() => decodeFrame(newer), (why) => why instanceof Refused && /version 2/.test(why.message));
});

test("every object has the colour that Python gives it, ids beyond 2^53 included", () => {
  for (const { id, rgb } of golden.colours) assert.deepEqual(objectColour(BigInt(id)), rgb, `object ${id}`);
  assert.deepEqual(objectColour(7), objectColour(7n));
});
