/**
 * Owns who one is to the server: a name with a way out, and the way in when the server asks who one is.
 *
 * A server without accounts shows nothing of this.
 */

import { ask } from "./run.js";

/** @typedef {{name: string, means: string, projects: Record<string, string>}} Me */
/** @typedef {{name: string}} Issuer */

export class Account {
  /** @param {URL} base where the pages lie @param {URL} api @param {string} here this page's address, below ``base`` */
  constructor(base, api, here) {
    this.base = base;
    this.api = api;
    this.here = here;
    this.dialog = /** @type {HTMLDialogElement} */ (document.getElementById("sign-in"));
    this.dialog.addEventListener("cancel", (event) => event.preventDefault());
    for (const place of this.places()) {
      /** @type {HTMLElement} */ (place.querySelector("button")).addEventListener("click", () => this.leave());
    }
  }

  async start() {
    window.addEventListener("signed-out", () => this.askWho());
    try {
      this.show(/** @type {Me} */ (await ask(new URL("me", this.api))));
    } catch {
      // What cannot be reached is said where it is missed; who has to sign in has been asked already.
    }
  }

  places() {
    return /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".account"));
  }

  /** @param {Me} me */
  show(me) {
    if (me.means !== "session") return;
    const roles = Object.entries(me.projects).map(([project, role]) => `${role} of ${project}`);
    for (const place of this.places()) {
      const name = /** @type {HTMLElement} */ (place.querySelector("span"));
      name.textContent = me.name;
      name.title = roles.join(", ");
      place.hidden = false;
    }
  }

  async askWho() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    const ways = /** @type {HTMLElement} */ (document.getElementById("sign-in-ways"));
    const said = /** @type {HTMLElement} */ (document.getElementById("sign-in-said"));
    try {
      const issuers = /** @type {Issuer[]} */ (await ask(new URL("auth/issuers", this.base)));
      if (!issuers.length) said.textContent = "This server is for programs with a token; nobody can sign in with a browser.";
      ways.replaceChildren(...issuers.map((issuer) => this.way(issuer, issuers.length > 1)));
      ways.querySelector("a")?.focus();
    } catch {
      said.textContent = "The control plane is out of reach; load the page again later.";
    }
  }

  /** @param {Issuer} issuer @param {boolean} named */
  way(issuer, named) {
    const way = document.createElement("a");
    const address = new URL("auth/login", this.base);
    address.search = new URLSearchParams({ issuer: issuer.name, next: this.here }).toString();
    way.href = address.href;
    way.className = "way";
    way.textContent = named ? `Sign in with ${issuer.name}` : "Sign in";
    return way;
  }

  async leave() {
    try {
      const { next } = /** @type {{next: string}} */ (await ask(new URL("auth/logout", this.base), { method: "POST" }));
      location.assign(/^https?:/.test(next) ? next : this.base);
    } catch {
      location.reload();
    }
  }
}
