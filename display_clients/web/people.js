/**
 * Others present: names, colours, what each may do, and what is said when that changes.  Pure.
 *
 * What the renderer says of people is read by `soundPeople`; a name is cleaned here as streamer/wire/presence.py does.
 */

/** @typedef {"lead" | "follow" | "look" | "own"} Role lead, follow and look in our view; own: in one of their own */
/**
 * @typedef {object} Person
 * @property {number} n tells them from all others of the run
 * @property {string} name empty: they have not said
 * @property {boolean} account the name is that of an account
 * @property {Role} role
 * @property {boolean} asks for the lead
 * @property {boolean} guides asks others to follow, in our view
 * @property {"" | "now" | "again"} invites us to follow; again: we have said no, and still may
 */
/**
 * @typedef {object} People
 * @property {number} you one's own number; 0: not known yet
 * @property {boolean} named one's name is that of the account
 * @property {number | null} may one's role in a shared view: 0 look, 1 follow, 2 lead; null: the view is one's own
 * @property {Person[]} all oneself included
 */
/** @typedef {"hand" | import("./wire.js").What} Deed */
/** @typedef {{deed: Deed, whom: number, text: string}} Act */

export const MOST_LETTERS = 32;
const MOST_PEOPLE = 64;
const ROLES = ["lead", "follow", "look", "own"];
/** Light enough for dark words on them, and apart from each other; beside each stands a name. */
const COLOURS = ["#6cc4f0", "#f0b34a", "#5fdcbd", "#ff9d8a", "#c9a6ff", "#d5dd5c", "#ff9fd6", "#9fd0ff"];

/** A name as it is shown: one line of at most 32 letters that can be seen. @param {string} name */
export function cleaned(name) {
  const there = [...name].slice(0, 8 * MOST_LETTERS).join("").normalize("NFC");
  const seen = there.replace(/\s/gu, " ").replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu, "");
  return [...seen.split(/\s+/u).filter(Boolean).join(" ")].slice(0, MOST_LETTERS).join("").trim();
}

/** @param {number} n of a person */
export function colourOf(n) {
  return COLOURS[(((n - 1) % COLOURS.length) + COLOURS.length) % COLOURS.length];
}

/** @param {Person} person */
export function nameOf({ n, name }) {
  return name || `guest ${n}`;
}

/** @returns {People} */
export function nobody() {
  return { you: 0, named: false, may: null, all: [] };
}

/** @param {any} given @returns {People} */
export function soundPeople(given) {
  const all = (Array.isArray(given?.all) ? given.all : [])
    .slice(0, MOST_PEOPLE)
    .filter((/** @type {any} */ one) => Number.isSafeInteger(one?.n) && ROLES.includes(one.role))
    .map((/** @type {any} */ one) => ({
      n: one.n, name: cleaned(String(one.name ?? "")), account: one.account === true, role: one.role,
      asks: one.asks === true, guides: one.guides === true, invites: ["now", "again"].includes(one.invites) ? one.invites : "",
    }));
  const may = [0, 1, 2].includes(given?.may) ? given.may : null;
  return { you: Number.isSafeInteger(given?.you) ? given.you : 0, named: given?.named === true, may, all };
}

/**
 * Where others point: their numbers and places.
 * @param {any} given
 * @returns {{n: number, x: number, y: number}[]}
 */
export function soundPointers(given) {
  return (Array.isArray(given) ? given : [])
    .slice(0, MOST_PEOPLE)
    .filter((one) => Array.isArray(one) && one.length === 3 && one.every((n) => typeof n === "number" && Number.isFinite(n)))
    .map(([n, x, y]) => ({ n, x, y }));
}

/**
 * A place of the picture in its heights from the middle, and back.
 * @param {{x: number, y: number}} point from the left and from the top
 * @param {{width: number, height: number}} box
 * @returns {[number, number]}
 */
export function inHeights({ x, y }, { width, height }) {
  return [(x - width / 2) / height, (y - height / 2) / height];
}

/**
 * @param {{x: number, y: number}} spot in heights from the middle
 * @param {{width: number, height: number}} box
 * @returns {{x: number, y: number} | null} null: it is not in this picture
 */
export function inPicture(spot, { width, height }) {
  const [x, y] = [width / 2 + spot.x * height, height / 2 + spot.y * height];
  return x >= 0 && y >= 0 && x <= width && y <= height ? { x, y } : null;
}

/** @param {People} people */
export function myself(people) {
  return people.all.find(({ n }) => n === people.you) ?? null;
}

/** Those who see what we see, without us. @param {People} people */
export function companions(people) {
  return people.may === null ? [] : people.all.filter(({ n, role }) => n !== people.you && role !== "own");
}

/** Oneself, who leads, those here, those elsewhere. @param {People} people */
export function inOrder(people) {
  const rank = (/** @type {Person} */ one) => (one.n === people.you ? 0 : 1 + ROLES.indexOf(one.role));
  return [...people.all].sort((a, b) => rank(a) - rank(b) || a.n - b.n);
}

/** What somebody does here, in words. @param {Person} person @param {People} people */
export function doing(person, people) {
  const words = { lead: "leads", follow: "follows", look: "looks on", own: "in a view of their own" };
  if (person.asks) return "asks for the lead";
  if (person.invites) return "asks you to follow";
  if (person.n === people.you && people.may === null) return "in a view of your own";
  return words[person.role];
}

/** What one can do with somebody in the list. @param {Person} person @param {People} people @returns {Act[]} */
export function withPerson(person, people) {
  const { n, role } = person;
  if (n === people.you) return [];
  const found = /** @type {Act[]} */ ([]);
  const leading = myself(people)?.role === "lead";
  if (leading && role === "follow") found.push({ deed: "hand", whom: n, text: "Hand over" });
  if (person.invites) found.push({ deed: "accept", whom: n, text: "Follow" });
  if (role === "own") found.push({ deed: "see", whom: n, text: "Go there" });
  return found;
}

/** What one can do for oneself. @param {People} people @returns {Act[]} */
export function forOneself(people) {
  const me = myself(people);
  if (!me) return [];
  const found = /** @type {Act[]} */ ([]);
  if (people.may !== null && people.may > 0 && me.role !== "lead") {
    if (me.asks) found.push({ deed: "withdraw", whom: 0, text: "Do not ask any more" });
    else if (people.may === 2 || !people.all.some(({ role }) => role === "lead")) found.push({ deed: people.may === 2 ? "hand" : "ask", whom: 0, text: "Take the lead" });
    else found.push({ deed: "ask", whom: 0, text: "Ask for the lead" });
  }
  if (people.may === null || me.role === "lead") {
    found.push(me.guides ? { deed: "end", whom: 0, text: "Let them go" } : { deed: "invite", whom: 0, text: "Ask others to follow me" });
  }
  return found;
}

/**
 * What is to be said over the picture, with what one can answer; null: nothing.
 * @param {People} people
 * @param {boolean} guest one follows somebody whose view is not one's own
 * @returns {{text: string, acts: Act[]} | null}
 */
export function banner(people, guest) {
  const me = myself(people);
  const leader = people.all.find(({ role }) => role === "lead");
  const asking = me?.role === "lead" ? people.all.find(({ asks, n }) => asks && n !== people.you) : null;
  if (asking) {
    return { text: `${nameOf(asking)} asks for the lead.`, acts: [
      { deed: "hand", whom: asking.n, text: "Hand over" }, { deed: "refuse", whom: asking.n, text: "Keep it" },
    ] };
  }
  const inviting = people.all.find(({ invites }) => invites === "now");
  if (inviting) {
    return { text: `${nameOf(inviting)} asks you to follow.`, acts: [
      { deed: "accept", whom: inviting.n, text: "Follow" }, { deed: "decline", whom: inviting.n, text: "Not now" },
    ] };
  }
  if (me?.asks) {
    return { text: leader ? `You have asked ${nameOf(leader)} for the lead.` : "The lead is kept for who had it, for a moment.",
      acts: [{ deed: "withdraw", whom: 0, text: "Do not ask any more" }] };
  }
  if (guest && me && me.role !== "lead") {
    return { text: leader ? `You follow ${nameOf(leader)}.` : "Whoever you follow is away.", acts: [{ deed: "leave", whom: 0, text: "Leave" }] };
  }
  if (me?.guides) {
    const many = companions(people).length;
    const text = many ? `${many === 1 ? "One person is" : `${many} people are`} with you.` : "The others are asked to follow you.";
    return { text, acts: [{ deed: "end", whom: 0, text: "Let them go" }] };
  }
  return null;
}

/**
 * What has changed, in a sentence each, for those who do not see the list.
 * @param {People} before
 * @param {People} now
 */
export function news(before, now) {
  if (!before.you) return [];
  const [was, is] = [before, now].map((one) => new Map(one.all.map((person) => [person.n, person])));
  const said = /** @type {string[]} */ ([]);
  for (const person of now.all) {
    if (person.n === now.you) continue;
    const old = was.get(person.n);
    if (!old) said.push(`${nameOf(person)} has come.`);
    if (person.role === "lead" && old?.role !== "lead") said.push(`${nameOf(person)} leads.`);
    if (person.asks && !old?.asks) said.push(`${nameOf(person)} asks for the lead.`);
    if (person.invites === "now" && old?.invites !== "now") said.push(`${nameOf(person)} asks you to follow.`);
  }
  for (const person of before.all) if (!is.has(person.n) && person.n !== before.you) said.push(`${nameOf(person)} has gone.`);
  const [me, I] = [myself(before), myself(now)];
  if (I?.role === "lead" && me?.role !== "lead") said.push("You lead.");
  if (me?.role === "lead" && I?.role !== "lead" && now.may !== null) said.push("You do not lead any more.");
  if (me?.asks && I && !I.asks && I.role !== "lead") said.push("You do not ask for the lead any more.");
  return said;
}
