/**
 * Owns who else is there: the list of people with what can be done with each, one's own name, and the words over the
 * picture when somebody asks for something.  The decisions are in people.js.
 */

import { at } from "./page.js";
import { banner, cleaned, colourOf, companions, doing, forOneself, inOrder, MOST_LETTERS, nameOf, news, nobody, soundPeople, soundPointers, withPerson } from "./people.js";
import { Pointers } from "./pointers.js";
import { encodeName, encodeWish } from "./wire.js";

/** @typedef {import("./people.js").Act} Act */

const KEPT = "cavecast.name";
/** The name in the field is one's name once nobody has typed for so long. */
const TYPED_MS = 400;

export class Present {
  /**
   * @param {import("./socket.js").Socket} socket
   * @param {HTMLCanvasElement} canvas
   * @param {object} on
   * @param {(camera: unknown, look: unknown) => void} on.go to where somebody else is
   * @param {() => void} on.open the list has been opened
   */
  constructor(socket, canvas, on) {
    this.socket = socket;
    this.on = on;
    this.people = nobody();
    this.guest = false;
    this.typed = 0;
    this.pointers = new Pointers(at("pointers"), canvas, socket, (n) => this.nameOf(n));
    const name = at("my-name");
    name.maxLength = MOST_LETTERS;
    name.value = this.kept();
    name.addEventListener("input", () => {
      clearTimeout(this.typed);
      this.typed = window.setTimeout(() => this.rename(), TYPED_MS);
    });
    name.addEventListener("change", () => this.rename());
    at("people-toggle").addEventListener("click", () => this.open(at("people").hidden === true));
    at("people-close").addEventListener("click", () => this.open(false));
    at("people").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.open(false));
    const { searchParams } = new URL(location.href);
    at("together").hidden = searchParams.has("view");
    at("alone").hidden = !searchParams.has("view");
  }

  /** @param {boolean} open @param {boolean} [focus] it goes where it belongs */
  open(open, focus = true) {
    at("people").hidden = !open;
    at("people-toggle").setAttribute("aria-expanded", String(open));
    if (open) this.on.open();
    if (open) this.show();
    if (focus) at(open ? "people-close" : "people-toggle").focus();
  }

  // ------------------------------------------------------------------ one's own name

  kept() {
    try {
      return cleaned(localStorage.getItem(KEPT) ?? "");
    } catch {
      return ""; // a browser that keeps nothing
    }
  }

  rename() {
    clearTimeout(this.typed);
    const name = cleaned(at("my-name").value);
    if (name === this.kept()) return;
    try {
      localStorage.setItem(KEPT, name);
    } catch {
      // it is good for as long as the page is open
    }
    this.socket.post(encodeName(name));
  }

  // ------------------------------------------------------------------ what is heard

  /** A new line. */
  opened() {
    const name = cleaned(at("my-name").value);
    if (name) this.socket.post(encodeName(name));
    this.pointers.opened();
  }

  /** @param {any} note @returns {boolean} whether it was about people */
  hear(note) {
    if (note?.people) {
      const before = this.people;
      this.people = soundPeople(note.people);
      const said = news(before, this.people);
      if (said.length) at("people-said").textContent = said.join(" ");
      this.pointers.accompany(companions(this.people).length > 0);
      this.show();
    } else if (note?.pointers) this.pointers.receive(soundPointers(note.pointers));
    else if (note?.seen) {
      if (note.camera) this.on.go(note.camera, note.look);
      else at("people-said").textContent = `${this.nameOf(note.seen)} is not to be seen now.`;
    } else return false;
    return true;
  }

  /** Whether one follows somebody whose view one has not come to by oneself. @param {boolean} guest */
  follow(guest) {
    if (this.guest === guest) return;
    this.guest = guest;
    this.show();
  }

  /** Somebody who follows takes hold of the picture: he sees for himself again. */
  leave() {
    this.socket.post(encodeWish("leave", 0));
  }

  /** What was set from outside is what this page shows. @param {number} serial */
  taken(serial) {
    this.socket.post(encodeWish("taken", serial));
  }

  // ------------------------------------------------------------------ what is shown

  /** @param {number} n */
  nameOf(n) {
    const person = this.people.all.find((one) => one.n === n);
    return person ? nameOf(person) : `guest ${n}`;
  }

  show() {
    const { people } = this;
    const many = people.all.length;
    at("people-count").textContent = many > 1 ? String(many) : "";
    at("people-toggle").setAttribute("aria-label", many > 1 ? `People: ${many}` : "People");
    this.say(banner(people, this.guest));
    if (at("people").hidden) return;
    at("together").href = `${location.pathname}?view=together${location.hash}`;
    at("alone").href = `${location.pathname}${location.hash}`;
    at("my-name-line").hidden = people.named;
    at("my-name").placeholder = people.you ? `guest ${people.you}` : "";
    this.fill(at("people-list"), inOrder(people).map((person) => {
      const row = document.createElement("li");
      const [mark, who, what] = ["i", "b", "span"].map((tag) => document.createElement(tag));
      mark.className = "swatch";
      mark.style.setProperty("--colour", colourOf(person.n));
      who.textContent = `${nameOf(person)}${person.n === people.you ? " (you)" : ""}`;
      what.textContent = doing(person, people);
      const acts = document.createElement("div");
      acts.className = "deeds";
      acts.append(...withPerson(person, people).map((act) => this.button(act, nameOf(person))));
      row.append(mark, who, what, acts);
      return row;
    }));
    this.fill(at("people-acts"), forOneself(people).map((act) => this.button(act, "")));
    at("people-only").hidden = people.may !== 0 || this.guest;
  }

  /** @param {{text: string, acts: Act[]} | null} found */
  say(found) {
    at("company").hidden = found === null;
    if (!found) return;
    at("company-text").textContent = found.text;
    this.fill(at("company-acts"), found.acts.map((act) => this.button(act, "")));
  }

  /** New rows in place of old ones; the focus stays where it was. @param {HTMLElement} place @param {HTMLElement[]} rows */
  fill(place, rows) {
    if (place.dataset.text === rows.map((row) => row.outerHTML).join("")) return;
    const focused = place.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.act : null;
    place.dataset.text = rows.map((row) => row.outerHTML).join("");
    place.replaceChildren(...rows);
    if (!focused) return;
    const again = /** @type {HTMLElement | undefined} */ ([...place.querySelectorAll("button")].find((one) => one.dataset.act === focused));
    (again ?? (place.closest("#people") ? at("people-close") : at("picture"))).focus();
  }

  /** @param {Act} act @param {string} whom */
  button(act, whom) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = act.text;
    made.dataset.act = `${act.deed} ${act.whom}`;
    if (whom) made.setAttribute("aria-label", `${act.text}: ${whom}`);
    made.addEventListener("click", () => this.act(act));
    return made;
  }

  /** @param {Act} act */
  act({ deed, whom }) {
    if (deed === "hand") this.socket.hand(whom);
    else this.socket.post(encodeWish(deed, whom));
  }
}
