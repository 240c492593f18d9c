import assert from "node:assert/strict";
import { test } from "node:test";

import { Frames, INPUT_SPACING_MS, LINK_RETRY_MS, Outbox, Receipts } from "../../../display_clients/web/frames.js";
import { Meter } from "../../../display_clients/web/meter.js";
import { Pace } from "../../../display_clients/web/pace.js";
import { ANSWER_AWAKE_S, ANSWER_S, BEAT_S, FIRST_WORD_S, LONGEST_S, Pulse, STEADY_S, attemptAfter, reasonOf, waitSeconds, worthTrying } from "../../../display_clients/web/reconnect.js";

const arrival = (/** @type {number} */ frame) => ({ frame: { frame }, payload: new Uint8Array(), arrived: 0 });

test("the newest frame wins, and the skipped ones are acknowledged with it", () => {
  const frames = new Frames();
  assert.equal(frames.arrive(arrival(1))?.frame.frame, 1);
  assert.equal(frames.arrive(arrival(2)), null);
  assert.equal(frames.arrive(arrival(3)), null);
  assert.equal(frames.arrive(arrival(4)), null);
  const first = frames.settle();
  assert.equal(first.next?.frame.frame, 4);
  const second = frames.settle();
  assert.equal(second.next, null);
  assert.deepEqual([...first.acks, ...second.acks].sort(), [1, 2, 3, 4]);
  assert.equal(second.acks.at(-1), 4);
});

test("a page that is slow in decoding holds two frames at most, whatever comes", () => {
  const frames = new Frames();
  for (let n = 1; n <= 1000; n += 1) frames.arrive(arrival(n));
  assert.equal(frames.decoding?.frame.frame, 1);
  assert.equal(frames.waiting?.frame.frame, 1000);
});

test("a frame older than one that came before is never shown, but acknowledged", () => {
  const frames = new Frames();
  frames.arrive(arrival(5));
  assert.equal(frames.arrive(arrival(4)), null);
  const { acks, next } = frames.settle();
  assert.deepEqual(acks, [4, 5]);
  assert.equal(next, null);
});

test("after a new connection frame 1 is new again", () => {
  const frames = new Frames();
  frames.arrive(arrival(90));
  frames.reset();
  assert.equal(frames.arrive(arrival(1))?.frame.frame, 1);
});

test("the slot keeps the latest input and the trailing one is always sent", () => {
  const outbox = new Outbox();
  const sent = [];
  let now = 0;
  for (let move = 1; move <= 100; move += 1) {
    now += 1;
    outbox.offer({ move });
    if (outbox.due(now, 0) === 0) sent.push(outbox.take(now));
  }
  const wait = outbox.due(now, 0);
  if (wait !== null) sent.push(outbox.take(now + wait));
  assert.equal(sent.at(-1).move, 100);
  assert.equal(outbox.due(now + 100, 0), null);
  assert.ok(sent.length <= 2 + 100 / INPUT_SPACING_MS);
  assert.deepEqual(sent.map((state) => state.sequence), sent.map((_, i) => i + 1));
});

test("nothing is put on a link that has not taken the last input", () => {
  const outbox = new Outbox();
  outbox.offer({ move: 1 });
  assert.equal(outbox.due(0, 36), LINK_RETRY_MS);
  outbox.offer({ move: 2 });
  assert.equal(outbox.due(10, 0), 0);
  assert.equal(outbox.take(10).move, 2);
});

test("the back-off doubles from half a second to eight, with jitter that only shortens", () => {
  const longest = [0, 1, 2, 3, 4, 5, 60].map((attempt) => waitSeconds(attempt, 1));
  assert.deepEqual(longest, [0.5, 1, 2, 4, 8, 8, 8]);
  assert.ok(waitSeconds(4, 0) >= 0.7 * LONGEST_S && waitSeconds(4, 0) < LONGEST_S);
});

test("a connection that stood for a while starts the series anew", () => {
  assert.equal(attemptAfter(null, 0), 0);
  assert.equal(attemptAfter(0, 0), 1);
  assert.equal(attemptAfter(4, STEADY_S - 1), 5);
  assert.equal(attemptAfter(4, STEADY_S), 0);
});

test("a refusal is final, a loss is not", () => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 4503]) assert.ok(worthTrying(code), String(code));
  for (const code of [4401, 4403, 4404, 4410]) assert.ok(!worthTrying(code), String(code));
  assert.equal(reasonOf(4503, "anything", true), "The renderer has gone");
  assert.equal(reasonOf(1006, "", true), "The connection was lost");
  assert.equal(reasonOf(1006, "", false), "The renderer does not answer");
  assert.equal(reasonOf(4404, "this run has no view", true), "this run has no view");
  assert.equal(reasonOf(4410, "this run is not drawn any more", true), "this run is not drawn any more");
});

test("latency runs from the event to the first picture that shows it", () => {
  const meter = new Meter();
  meter.input(1, 100);
  meter.input(2, 110);
  meter.shown(0, 120);
  assert.equal(meter.latency(120), null);
  meter.shown(2, 150, 12);
  assert.deepEqual(meter.latency(150), { ms: 40, renderMs: 12, at: 150 });
  meter.shown(2, 500, 90);
  assert.equal(meter.latency(500)?.ms, 40, "a picture of new data answers no input");
  meter.input(3, 600);
  meter.forget();
  meter.shown(9, 5000);
  assert.equal(meter.latency(5000)?.ms, 40, "what an old connection left unanswered does not count");
});

test("what was slow a while ago is not slow now, and its drawing is that of its own picture", () => {
  const meter = new Meter();
  meter.input(1, 0);
  meter.shown(1, 900, 850);
  meter.shown(1, 1000, 3);
  assert.deepEqual(meter.latency(2000), { ms: 900, renderMs: 850, at: 900 });
  assert.equal(meter.latency(12_000), null);
  meter.input(2, 12_000);
  meter.shown(2, 12_020, 9);
  assert.equal(meter.latency(12_100)?.ms, 20);
});

test("the rate counts two seconds and is silent at rest", () => {
  const meter = new Meter();
  for (let now = 0; now <= 3000; now += 50) meter.shown(0, now);
  assert.ok(Math.abs(meter.rate(3000) - 20) < 0.01);
  assert.equal(meter.rate(6000), null);
  assert.ok(meter.shownAt.length < 50);
});

test("a question is asked once per change and once per interval, and the last change counts", () => {
  const pace = new Pace(1000);
  assert.equal(pace.due("a", 0), 0);
  pace.done("a", 0);
  assert.equal(pace.due("a", 5000), null);
  assert.equal(pace.due("b", 400), 600);
  assert.equal(pace.due("c", 999), 1);
  assert.equal(pace.due("c", 1000), 0);
  pace.done("c", 1000);
  pace.failed();
  assert.equal(pace.due("c", 1500), 500);
});

test("a renderer that is silent is asked once, and taken for dead when it does not answer", () => {
  const pulse = new Pulse();
  pulse.reset(-FIRST_WORD_S);
  assert.equal(pulse.look(-0.1), null, "before anything was heard nobody is asked");
  assert.equal(pulse.look(0), "dead", "but a line that never says anything is given up");
  assert.equal(pulse.look(ANSWER_S - FIRST_WORD_S, true), "dead", "sooner after a sleep");
  pulse.heard(0);
  assert.equal(pulse.look(BEAT_S - 0.1), null);
  assert.equal(pulse.look(BEAT_S), "ask");
  assert.equal(pulse.look(BEAT_S + ANSWER_S - 0.1), null);
  pulse.heard(BEAT_S + ANSWER_S - 0.05);
  assert.equal(pulse.look(BEAT_S + ANSWER_S), null, "it has answered");
  const asked = 2 * BEAT_S + ANSWER_S;
  assert.equal(pulse.look(asked), "ask");
  assert.equal(pulse.look(asked + ANSWER_S), "dead");
  pulse.reset(asked + 1000);
  assert.equal(pulse.look(asked + 1001), null, "a new connection");
});

test("after a sleep the renderer is asked at once and has less time", () => {
  const pulse = new Pulse();
  pulse.heard(0);
  assert.equal(pulse.look(5, true), "ask");
  assert.equal(pulse.look(5 + ANSWER_AWAKE_S - 0.1, true), null, "asked already");
  assert.equal(pulse.look(5 + ANSWER_AWAKE_S), "dead");
  pulse.heard(100);
  assert.equal(pulse.look(100 + BEAT_S), "ask");
  assert.equal(pulse.look(101 + BEAT_S, true), "ask", "the answer is wanted sooner now");
  assert.equal(pulse.look(101 + BEAT_S + ANSWER_AWAKE_S), "dead");
});

test("of the pictures that were shown the renderer is told of the newest, with how long ago that was", () => {
  const receipts = new Receipts();
  assert.equal(receipts.take(0), null);
  receipts.put(3, 1.5, 100);
  receipts.put(5, 2.5, 110);
  receipts.put(4, 0.5, 112); // another decoder was slower
  assert.deepEqual(receipts.take(125), { frame: 5, decodeMs: 2.5, heldMs: 15 });
  assert.equal(receipts.take(130), null);
  receipts.put(6, 1, 140);
  receipts.reset();
  assert.equal(receipts.take(150), null);
});
