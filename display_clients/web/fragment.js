/**
 * What is seen, as the part of the page's address behind the "#": whoever opens the link sees the same.  Pure.
 *
 * Only what is not as usual stands there, so that the link of a page that nobody has touched is bare.
 */

import { bounded } from "./camera.js";
import { sound, unusual } from "./look.js";

/** @typedef {import("./wire.js").Camera} Camera */
/** @typedef {import("./look.js").Look} Look */

const LONGEST = 8000;

/** As exactly as a camera is sent, so that the picture is the same to the pixel. @param {number} n */
const short = (n) => String(Number(Math.fround(n).toPrecision(9)));

/**
 * @param {Camera | null} camera null: as a newcomer has it
 * @param {Look} look
 * @param {boolean | null} [panel] whether the panel is open; null: as the window has room for it
 * @returns {string} empty or with its "#"
 */
export function written(camera, look, panel = null) {
  const parts = [];
  if (camera) {
    const { azimuth, elevation, distance, target } = camera;
    parts.push(`camera=${[azimuth, elevation, distance, ...target].map(short).join(",")}`);
  }
  const rest = unusual(look);
  if (Object.keys(rest).length) parts.push(`look=${encodeURIComponent(JSON.stringify(rest))}`);
  if (panel !== null) parts.push(`panel=${panel ? "open" : "closed"}`);
  return parts.length ? `#${parts.join("&")}` : "";
}

/**
 * What a link says; what it does not say, or says wrongly, is as usual.
 * @param {string} hash
 * @returns {{camera: Camera | null, look: Look, panel: boolean | null}}
 */
export function read(hash) {
  const parts = new URLSearchParams(hash.slice(0, LONGEST).replace(/^#/, ""));
  const numbers = (parts.get("camera") ?? "").split(",").map((n) => (n.trim() === "" ? NaN : Number(n)));
  let camera = null;
  if (numbers.length === 6 && numbers.every(Number.isFinite) && numbers[2] > 0) {
    const [azimuth, elevation, distance, x, y, z] = numbers;
    camera = bounded({ azimuth, elevation, distance, target: [x, y, z] });
  }
  let look = null;
  try {
    look = JSON.parse(parts.get("look") ?? "null");
  } catch {
    // A link that was cut off: what is left of it is shown.
  }
  const said = parts.get("panel");
  return { camera, look: sound(look), panel: said === "open" ? true : said === "closed" ? false : null };
}
