/**
 * Which runs the list shows: words, states, and how far back.  It stands in the page's address behind the "#".  Pure.
 */

/** @typedef {{words: string, state: string, before: string}} Filter before: the name of a run; empty: the newest */

/** What can be chosen, and the states that each means. */
export const STATES = /** @type {Record<string, string[]>} */ ({
  active: ["queued", "starting", "waiting", "running", "paused"],
  complete: ["complete"],
  failed: ["failed"],
  cancelled: ["cancelled"],
});

/** So many runs are on one page. */
export const PAGE = 24;
const LONGEST = 256;

/** @param {string} hash @returns {Filter} what it does not say, or says wrongly, is empty */
export function readFilter(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const state = parts.get("state") ?? "";
  return {
    words: (parts.get("q") ?? "").slice(0, LONGEST),
    state: Object.hasOwn(STATES, state) ? state : "",
    before: (parts.get("before") ?? "").slice(0, 64),
  };
}

/** @param {Filter} filter @returns {string} empty or with its "#" */
export function writtenFilter(filter) {
  const parts = new URLSearchParams();
  if (filter.words.trim()) parts.set("q", filter.words.trim());
  if (filter.state) parts.set("state", filter.state);
  if (filter.before) parts.set("before", filter.before);
  const text = parts.toString();
  return text && `#${text}`;
}

/** What is asked of the server: one more than is shown tells whether there are more. @param {Filter} filter */
export function queryOf(filter) {
  const parts = new URLSearchParams({ limit: String(PAGE + 1) });
  if (filter.words.trim()) parts.set("q", filter.words.trim());
  for (const state of STATES[filter.state] ?? []) parts.append("state", state);
  if (filter.before) parts.set("before", filter.before);
  return parts.toString();
}

/** Whether anything is left out. @param {Filter} filter */
export function isNarrow(filter) {
  return Boolean(filter.words.trim() || filter.state || filter.before);
}

/** Why the list is empty. @param {Filter} filter */
export function nothing(filter) {
  if (filter.words.trim()) return `No run has “${filter.words.trim()}” in its title, input or name${filter.state ? " and is in this state" : ""}.`;
  if (filter.state) return "No run is in this state.";
  return "There are no older runs.";
}
