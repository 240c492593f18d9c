/**
 * The elements of the page by their ids.
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
