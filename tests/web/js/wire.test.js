import assert from "node:assert/strict";
import { test } from "node:test";

import { objectColour } from "../../../display_clients/web/colour.js";
import { COLOURS, MOST_PLANES, MOST_POINTS, MOST_SELECTED, ONE, sound } from "../../../display_clients/web/look.js";
import { ACK_SIZE, cameraOf, decodeFrame, encodeAck, encodeBeat, encodeDrawn, encodeHand, encodeInput, encodeLook, encodeName, encodePointer, encodeQuestion, encodeVideo, encodeWish, FRAME_HEADER, HAND_SIZE, INPUT_SIZE, LOOK_HEADER, Refused, VIDEO_SIZE, WHAT } from "../../../display_clients/web/wire.js";
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
  const acks = golden.acks.map(({ frame, decode_ms: decodeMs, held_ms: heldMs }) => encodeAck(frame, decodeMs, heldMs));
  golden.inputs.forEach(({ bytes: raw, with_ack: both, ...state }, i) => {
    assert.equal(hex(encodeInput(state)), raw);
    assert.equal(raw.length, 2 * INPUT_SIZE);
    assert.equal(hex(encodeInput(state, acks[i % acks.length])), both);
    assert.equal(both.length, 2 * (INPUT_SIZE + ACK_SIZE));
  });
  golden.acks.forEach(({ bytes: raw }, i) => {
    assert.equal(hex(acks[i]), raw);
    assert.equal(raw.length, 2 * ACK_SIZE);
  });
  assert.equal(hex(encodeAck(4, 0.5, 1e9)), golden.acks[3].bytes, "held for longer than can be said");
  for (const { bytes: raw, to } of golden.hands) {
    assert.equal(hex(encodeHand(to)), raw);
    assert.equal(raw.length, 2 * HAND_SIZE);
  }
});

test("what is said of H.264 has the bytes that Python expects", () => {
  assert.equal(golden.videos.length, 3);
  for (const { bytes: raw, wish } of golden.videos) {
    assert.equal(hex(encodeVideo(wish)), raw);
    assert.equal(raw.length, 2 * VIDEO_SIZE);
  }
});

test("a question whether anybody is there has the bytes that Python expects", () => {
  assert.equal(hex(encodeBeat()), golden.beat);
});

test("a camera that was kept is read, and what is none is not", () => {
  const camera = { azimuth: -0.5, elevation: 0.25, distance: 4, target: [0, 0.5, -1] };
  assert.deepEqual(cameraOf(JSON.stringify(camera)), camera);
  for (const none of [null, "", "{", "null", "7", "{}", '"x"', JSON.stringify({ ...camera, distance: 0 }),
    JSON.stringify({ ...camera, target: [1, 2] }), JSON.stringify({ ...camera, azimuth: "1" }), JSON.stringify({ ...camera, elevation: 1e9 })]) {
    assert.equal(cameraOf(none), null);
  }
});

test("a look says what Python understands, and a question has the bytes that it expects", () => {
  const text = (/** @type {ArrayBuffer} */ raw) => JSON.parse(new TextDecoder().decode(new Uint8Array(raw, LOOK_HEADER)));
  assert.ok(golden.looks.length > 1);
  for (const { bytes: raw, sequence, look } of golden.looks) {
    const [mine, theirs] = [encodeLook(sequence, look), bytes(raw)];
    assert.deepEqual(text(mine), text(theirs));
    const head = new DataView(mine);
    assert.deepEqual([head.getUint8(0), head.getUint8(1), head.getUint32(4, true)], [16, 2, sequence]);
    assert.equal(head.getUint16(2, true), mine.byteLength - LOOK_HEADER);
    assert.deepEqual(sound(look), look, "what Python says is a sound look here");
  }
  for (const { bytes: raw, number, x, y } of golden.questions) assert.equal(hex(encodeQuestion(number, x, y)), raw);
  assert.deepEqual(golden.looking, { selected: MOST_SELECTED, planes: MOST_PLANES, points: MOST_POINTS, colours: COLOURS, one: ONE });
});

test("too short a frame and another version are refused with a sentence", () => {
  assert.throws(() => decodeFrame(new ArrayBuffer(39)), (why) => why instanceof Refused && /39 bytes/.test(why.message));
  const newer = bytes(golden.frames[0].bytes);
  new DataView(newer).setUint8(0, 3);
  assert.throws(() => decodeFrame(newer), (why) => why instanceof Refused && /version 3/.test(why.message));
});

test("every object has the colour that Python gives it, ids beyond 2^53 included", () => {
  for (const { id, rgb } of golden.colours) assert.deepEqual(objectColour(BigInt(id)), rgb, `object ${id}`);
  assert.deepEqual(objectColour(7), objectColour(7n));
});

test("a name, a pointer and a wish have the bytes that Python expects", () => {
  for (const { name, bytes: raw } of golden.names) assert.equal(hex(encodeName(name)), raw);
  for (const { place, bytes: raw } of golden.pointers) assert.equal(hex(encodePointer(place)), raw);
  assert.deepEqual(golden.wishes.map((/** @type {any} */ one) => one.what), [...WHAT]);
  for (const { what, whom, bytes: raw } of golden.wishes) assert.equal(hex(encodeWish(what, whom)), raw);
  assert.equal(hex(encodeDrawn()), golden.drawn);
});
