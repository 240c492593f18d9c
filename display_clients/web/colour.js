/**
 * The colour of an object: it follows from its id, but for the few that the renderer names (renderers/hues.py).
 *
 * The same as streamer/wire/colour.py; golden values shared by both test suites keep them alike.
 */

const HUES = [
  [0xd8, 0x24, 0x74], [0x38, 0x9c, 0x9c], [0xec, 0xd8, 0x60], [0x88, 0x9c, 0x60], [0xc4, 0xd8, 0x88], [0x9c, 0xd8, 0xb0],
  [0x88, 0x74, 0x10], [0x88, 0x74, 0xec], [0xc4, 0x9c, 0x10], [0xec, 0x88, 0xec], [0x74, 0xec, 0xec], [0xb0, 0x4c, 0xb0],
];
const SHADES = [1.0, 0.82, 1.12];
const HUE_COUNT = BigInt(HUES.length);

/** @param {bigint} n */
const u64 = (n) => BigInt.asUintN(64, n);

/** From a hue to the next one that an object takes whose neighbour has its own. */
const STEP = 5n;
/** @type {Map<string, bigint>} Of the objects that have stepped aside from a neighbour's hue, by how many steps. */
let turns = new Map();

/**
 * What the renderer says of objects that have stepped aside: from id to how many steps.
 * @param {Record<string, number>} told
 */
export function stepAside(told) {
  turns = new Map(Object.entries(told).map(([id, turn]) => [id, BigInt(turn)]));
}

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
  const turn = turns.get(String(objectId)) ?? 0n;
  const [r, g, b] = HUES[Number((z + STEP * turn) % HUE_COUNT)].map((channel) => Math.min(255, Math.trunc(channel * shade)));
  return [r, g, b];
}

/**
 * The same as a CSS colour; where the look has all objects in one colour, it is that one (`inOneColour` in page.js).
 * @param {number | bigint} objectId
 */
export function cssColour(objectId) {
  return `var(--all-objects, rgb(${objectColour(objectId).join(" ")}))`;
}
