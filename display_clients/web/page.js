/**
 * The elements of the page by their ids, and the colour that all objects on it may have.
 *
 * Which ids there are and what each names is read from index.html when types are checked (tests/web/types.py), so that
 * a wrong id, or a button taken for a field, is found before the page runs.
 */

/**
 * @template {keyof PageElements} Id
 * @param {Id} id
 * @returns {PageElements[Id]}
 */
export function at(id) {
  const found = /** @type {unknown} */ (document.getElementById(id));
  if (!found) throw new Error(`the page has no #${id}`);
  return /** @type {PageElements[Id]} */ (found);
}

/**
 * All objects that the page shows have one colour from now on, or (null) each its own again.  Whatever is coloured
 * by `cssColour` (colour.js) follows by itself.
 * @param {string | null} colour
 */
export function inOneColour(colour) {
  const { style } = document.documentElement;
  if (colour === null) style.removeProperty("--all-objects");
  else style.setProperty("--all-objects", colour);
}
