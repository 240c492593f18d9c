/**
 * Owns the short words over the picture that say what was just done, and copying, which is such a deed.
 */

import { say } from "./panel.js";

/** So long it is to be read. */
const READ_MS = 2500;
let timer = 0;

/** @param {string} sentence */
export function notice(sentence) {
  clearTimeout(timer);
  say("said", sentence);
  timer = window.setTimeout(() => say("said", ""), READ_MS);
}

/** Copies a text and says so. @param {string} text @param {string} done @param {string} [failed] @returns {Promise<boolean>} */
export async function copy(text, done, failed = "The browser does not allow to copy here.") {
  const copied = await navigator.clipboard?.writeText(text).then(() => true, () => false) || byHand(text);
  notice(copied ? done : failed);
  return copied;
}

/** Pages without TLS have no clipboard, but for what is marked in them. @param {string} text */
function byHand(text) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const place = document.createElement("textarea");
  place.value = text;
  place.className = "unseen";
  document.body.append(place);
  place.select();
  const copied = document.execCommand("copy");
  place.remove();
  focused?.focus();
  return copied;
}
