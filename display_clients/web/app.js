/**
 * Starts the page: the view of one run at …/view/{id}, else the list of runs, or at …#new the form that starts one.
 *
 * All addresses are derived from where this module lies (…/static/app.js), so that the page also works
 * behind a proxy that puts a prefix before its paths.
 */

import { Account } from "./account.js";
import { RunsList } from "./list.js";
import { Log } from "./log.js";
import { at } from "./page.js";
import { ask } from "./run.js";
import { mayStart, Start } from "./start.js";
import { Viewer } from "./viewer.js";

const base = new URL("..", import.meta.url);
const api = new URL("api/v1/", base);
const path = location.pathname.startsWith(base.pathname) ? location.pathname.slice(base.pathname.length) : "";
const match = /^view\/([^/]+)\/?$/.exec(path);

const page = /** @type {HTMLElement} */ (at(match ? "viewer" : "runs"));
page.hidden = false;
new Account(base, api, path + location.search).start();
if (match) {
  const id = decodeURIComponent(match[1]);
  new Log(new URL(`runs/${encodeURIComponent(id)}`, api));
  new Viewer(id, api).start();
} else {
  const list = new RunsList(page, api, base);
  const start = new Start(api, base);
  const turn = () => {
    const wanted = location.hash === "#new";
    document.title = wanted ? "New run · CaveCast" : "CaveCast";
    at("new-run").hidden = !wanted;
    at("all-runs").hidden = wanted;
    if (wanted) {
      list.close();
      start.open();
    } else list.open();
  };
  window.addEventListener("hashchange", turn);
  turn();
  ask(new URL("me", api)).then((me) => {
    at("new-link").hidden = at("runs-how").hidden = !mayStart(/** @type {import("./start.js").Me} */ (me));
  }, () => {
    // Whoever has to sign in is asked who they are; what cannot be reached is said where it is missed.
  });
}
