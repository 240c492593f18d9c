/**
 * The token of a shared view, which a link may carry behind its "#": it is taken out of the address, and kept for this tab.
 */

const FORM = /^[\w-]{1,128}$/;

/**
 * @param {string} name under which it is kept
 * @returns {string} empty: none
 */
export function keptToken(name) {
  const parts = new URLSearchParams(location.hash.replace(/^#/, ""));
  const given = parts.get("token");
  if (given !== null) {
    // Only the token goes: what else stands there is written as the page writes it.
    const rest = location.hash.replace(/^#/, "").split("&").filter((part) => !part.startsWith("token=")).join("&");
    history.replaceState(null, "", `${location.pathname}${location.search}${rest ? `#${rest}` : ""}`);
    if (FORM.test(given)) sessionStorage.setItem(name, given);
  }
  return sessionStorage.getItem(name) ?? "";
}
