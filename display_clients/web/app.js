/**
 * Starts the page: the view of one run at …/view/{id}, else the list of runs.
 *
 * All addresses are derived from where this module lies (…/static/app.js), so that the page also works
 * behind a proxy that puts a prefix before its paths.
 */

import { RunsList } from "./list.js";
import { Viewer } from "./viewer.js";

const base = new URL("..", import.meta.url);
const api = new URL("api/v1/", base);
const path = location.pathname.startsWith(base.pathname) ? location.pathname.slice(base.pathname.length) : "";
const match = /^view\/([^/]+)\/?$/.exec(path);

const page = /** @type {HTMLElement} */ (document.getElementById(match ? "viewer" : "runs"));
page.hidden = false;
if (match) new Viewer(decodeURIComponent(match[1]), api).start();
else new RunsList(page, api, base).follow();
