import assert from "node:assert/strict";
import { test } from "node:test";

import { banner, cleaned, colourOf, companions, doing, forOneself, inHeights, inOrder, inPicture, nameOf, news, nobody, soundPeople, soundPointers, withPerson } from "../../../display_clients/web/people.js";
import { golden } from "./golden.js";

/** @param {any[]} all @param {any} [more] */
const people = (all, more = {}) => soundPeople({ you: 1, may: 1, all, ...more });
const deeds = (/** @type {any[]} */ acts) => acts.map(({ deed, whom }) => `${deed} ${whom}`);

test("names are cleaned as Python cleans them", () => {
  assert.ok(golden.cleaned.length > 5);
  for (const { given, shown } of golden.cleaned) assert.equal(cleaned(given), shown);
});

test("what is no list of people is none, and what is no person is left out", () => {
  for (const none of [null, 7, "x", [], { all: 3 }]) assert.deepEqual(soundPeople(none).all, []);
  const found = soundPeople({ you: 2, may: 9, all: [{ n: 2, name: "a\u202eb", role: "look" }, { n: "3", role: "look" }, { n: 4, role: "king" }] });
  assert.deepEqual(found, { you: 2, named: false, may: null, all: [
    { n: 2, name: "ab", account: false, role: "look", asks: false, guides: false, invites: "" },
  ] });
  assert.equal(soundPeople({ all: Array.from({ length: 500 }, (_, n) => ({ n, role: "own" })) }).all.length, 64);
  assert.deepEqual(soundPointers([[1, 0.5, -0.5], [1, 2], "x", [1, NaN, 0]]), [{ n: 1, x: 0.5, y: -0.5 }]);
  assert.deepEqual(soundPointers(null), []);
});

test("everybody has a name and a colour", () => {
  assert.equal(nameOf(people([{ n: 3, role: "own" }]).all[0]), "guest 3");
  assert.match(colourOf(1), /^#/);
  assert.equal(colourOf(1), colourOf(9));
  assert.notEqual(colourOf(1), colourOf(2));
  assert.match(colourOf(0), /^#/);
});

test("a pointer is at the same place of the scene in windows of any shape", () => {
  const [wide, tall] = [{ width: 1600, height: 800 }, { width: 400, height: 800 }];
  const [x, y] = inHeights({ x: 900, y: 200 }, wide);
  assert.deepEqual(inPicture({ x, y }, wide), { x: 900, y: 200 });
  assert.deepEqual(inPicture({ x, y }, tall), { x: 300, y: 200 });
  const [far] = inHeights({ x: 1500, y: 200 }, wide);
  assert.equal(inPicture({ x: far, y }, tall), null, "beside a narrower picture");
});

test("who leads hands over, and answers who asks", () => {
  const mine = people([{ n: 1, role: "lead" }, { n: 2, name: "Ben", role: "follow", asks: true }, { n: 3, role: "look" }, { n: 4, role: "own" }]);
  assert.deepEqual(mine.all.map((one) => deeds(withPerson(one, mine)).join()), ["", "hand 2", "", "see 4"]);
  assert.equal(banner(mine, false)?.text, "Ben asks for the lead.");
  assert.deepEqual(deeds(banner(mine, false)?.acts ?? []), ["hand 2", "refuse 2"]);
  assert.equal(doing(mine.all[1], mine), "asks for the lead");
  assert.deepEqual(deeds(forOneself(mine)), ["invite 0"]);
  assert.equal(companions(mine).length, 2);
});

test("who follows asks, takes what is free, and who only looks does neither", () => {
  const led = [{ n: 1, role: "follow" }, { n: 2, name: "Ada", role: "lead" }];
  assert.deepEqual(deeds(forOneself(people(led))), ["ask 0"]);
  assert.deepEqual(deeds(forOneself(people(led, { may: 2 }))), ["hand 0"]);
  assert.deepEqual(deeds(forOneself(people([led[0]]))), ["ask 0"], "nobody leads");
  assert.deepEqual(deeds(forOneself(people([{ n: 1, role: "look" }, led[1]], { may: 0 }))), []);
  const asked = people([{ ...led[0], asks: true }, led[1]]);
  assert.deepEqual(deeds(forOneself(asked)), ["withdraw 0"]);
  assert.equal(banner(asked, false)?.text, "You have asked Ada for the lead.");
});

test("who is asked to follow answers, and who follows leaves", () => {
  const asked = people([{ n: 1, role: "own" }, { n: 2, name: "Ada", role: "own", invites: "now" }], { may: null });
  assert.deepEqual(deeds(banner(asked, false)?.acts ?? []), ["accept 2", "decline 2"]);
  assert.deepEqual(deeds(withPerson(asked.all[1], asked)), ["accept 2", "see 2"]);
  const again = people([{ n: 1, role: "own" }, { n: 2, name: "Ada", role: "own", invites: "again" }], { may: null });
  assert.equal(banner(again, false), null, "who has said no is not asked all the time");
  assert.deepEqual(deeds(withPerson(again.all[1], again)), ["accept 2", "see 2"], "and still may");
  assert.deepEqual(companions(asked), [], "a view of one's own");
  const follows = people([{ n: 1, role: "follow" }, { n: 2, name: "Ada", role: "lead", guides: true }]);
  assert.equal(banner(follows, true)?.text, "You follow Ada.");
  assert.deepEqual(deeds(banner(follows, true)?.acts ?? []), ["leave 0"]);
  assert.equal(banner(follows, false), null, "in a view that one has come to");
  const guides = people([{ n: 1, role: "lead", guides: true }, { n: 2, role: "follow" }], { may: 2 });
  assert.equal(banner(guides, true)?.text, "One person is with you.");
  assert.deepEqual(deeds(forOneself(guides)), ["end 0"]);
});

test("oneself stands first, then who leads", () => {
  const all = people([{ n: 1, role: "look" }, { n: 2, role: "own" }, { n: 3, role: "follow" }, { n: 4, role: "lead" }]);
  assert.deepEqual(inOrder(all).map(({ n }) => n), [1, 4, 3, 2]);
});

test("who comes, goes, leads or asks is said, and at the beginning nothing", () => {
  const one = people([{ n: 1, role: "lead" }, { n: 2, name: "Ben", role: "follow" }]);
  assert.deepEqual(news(nobody(), one), []);
  const two = people([{ n: 1, role: "follow" }, { n: 2, name: "Ben", role: "lead" }, { n: 3, role: "own", invites: "now" }]);
  assert.deepEqual(news(one, two), ["Ben leads.", "guest 3 has come.", "guest 3 asks you to follow.", "You do not lead any more."]);
  assert.deepEqual(news(two, people([{ n: 1, role: "lead" }])), ["Ben has gone.", "guest 3 has gone.", "You lead."]);
  assert.deepEqual(news(one, one), []);
});
