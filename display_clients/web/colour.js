/**
 * The colour of an object: a function of its id alone, so that every screen agrees without a word.
 *
 * The same as streamer/wire/colour.py; golden values shared by both test suites keep them alike.
 */

const HUES = [
  [0xe6, 0x9f, 0x00], [0x56, 0xb4, 0xe9], [0x00, 0x9e, 0x73], [0xf0, 0xe4, 0x42], [0x44, 0x7f, 0xd6], [0xe0, 0x6c, 0x28],
  [0xcc, 0x79, 0xa7], [0x88, 0xcc, 0xee], [0xb3, 0x5c, 0x8f], [0x9a, 0xc4, 0x4e], [0xdd, 0xcc, 0x77], [0x66, 0xcc, 0xbb],
];
const SHADES = [1.0, 0.82, 1.12];
const HUE_COUNT = BigInt(HUES.length);

/** @param {bigint} n */
const u64 = (n) => BigInt.asUintN(64, n);

/**
 * Red, green and blue in 0…255 of an object.  The id is mixed (splitmix64), so that neighbours in number differ.
 * @param {number | bigint} objectId
 * @returns {[number, number, number]}
 */
export function objectColour(objectId) {
  let z = u64(BigInt(objectId) + 0x9e3779b97f4a7c15n);
  z = u64((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = u64((z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  z ^= z >> 31n;
  const shade = SHADES[Number((z / HUE_COUNT) % BigInt(SHADES.length))];
  const [r, g, b] = HUES[Number(z % HUE_COUNT)].map((channel) => Math.min(255, Math.trunc(channel * shade)));
  return [r, g, b];
}

/**
 * The same as a CSS colour.
 * @param {number | bigint} objectId
 */
export function cssColour(objectId) {
  return `rgb(${objectColour(objectId).join(" ")})`;
}
