/**
 * Numbers, durations, places and dates as people read them.
 *
 * Missing values are a dash, never 0.  Digits are grouped by thin spaces, which every language reads alike.
 */

export const DASH = "–";
const THIN = "\u202f";
const FIRM = "\u00a0";

/** @param {unknown} n @returns {n is number} */
const isNumber = (n) => typeof n === "number" && Number.isFinite(n);

/** A whole number with its digits in groups. @param {number | null | undefined} n */
export function count(n) {
  if (!isNumber(n)) return DASH;
  const digits = Math.abs(Math.round(n)).toString();
  return (n <= -0.5 ? "−" : "") + (digits.length > 4 ? digits.replace(/\B(?=(\d{3})+$)/g, THIN) : digits);
}

/** A measured value to three figures. @param {number | null | undefined} n */
export function value(n) {
  if (!isNumber(n)) return DASH;
  if (n === 0) return "0";
  const size = Math.abs(n);
  if (size >= 1e7 || size < 1e-3) {
    const [digits, power] = size.toExponential(1).split("e");
    return `${n < 0 ? "−" : ""}${digits}×10${superscript(Number(power))}`;
  }
  if (size >= 999.5) return count(n);
  const text = Number(size.toPrecision(3)).toString();
  return n < 0 ? `−${text}` : text;
}

/** @param {number} n */
function superscript(n) {
  return [...String(n)].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");
}

/** A large number in short: 12.3 M. @param {number | null | undefined} n */
export function short(n) {
  if (!isNumber(n)) return DASH;
  const size = Math.abs(n);
  for (const [unit, letter] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (size >= unit * 0.9995) return `${Number((n / unit).toPrecision(3))}${THIN}${letter}`;
  }
  return `${Number(n.toPrecision(3))}`;
}

/** Bytes received, in MB. @param {number} bytes */
export function megabytes(bytes) {
  const mb = bytes / 1e6;
  return `${mb < 10 ? mb.toFixed(1) : count(mb)}${THIN}MB`;
}

/** A time span that passes while one waits: 8 s, 2 min 5 s, 3 h 10 min. @param {number | null | undefined} seconds */
export function duration(seconds) {
  return spoken(seconds).replaceAll(" ", FIRM);
}

/** @param {number | null | undefined} seconds */
function spoken(seconds) {
  if (!isNumber(seconds) || seconds < 0) return DASH;
  const s = Math.round(seconds);
  if (s < 1) return "< 1 s";
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 && s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  if (minutes < 48 * 60) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
  return `${Math.round(minutes / 1440)} days`;
}

/** An object's lifetime: hours up to two days, then days. @param {number | null | undefined} hours */
export function lifetime(hours) {
  if (!isNumber(hours)) return DASH;
  if (hours < 48) return `${Number(hours.toPrecision(3))} h`;
  return `${Number((hours / 24).toPrecision(3))} d`;
}

/** An area in km². @param {number | null | undefined} km2 */
export function area(km2) {
  if (!isNumber(km2)) return DASH;
  return km2 >= 1e4 ? short(km2) : value(km2);
}

/** A latitude: 47.5° N. @param {number | null | undefined} degrees */
export function latitude(degrees) {
  if (!isNumber(degrees)) return DASH;
  return `${Math.abs(degrees).toFixed(1)}° ${degrees < 0 ? "S" : "N"}`;
}

/** A longitude in −180…180: 12.0° W. @param {number | null | undefined} degrees */
export function longitude(degrees) {
  if (!isNumber(degrees)) return DASH;
  const wrapped = ((((degrees + 180) % 360) + 360) % 360) - 180;
  return `${Math.abs(wrapped).toFixed(1)}° ${wrapped < 0 ? "W" : "E"}`;
}

/**
 * A date as the data's own calendar has it: 1959-01-02 06:00.  Text, not a Date: not every calendar is ours.
 * @param {string | null | undefined} iso
 */
export function date(iso) {
  const match = /^([+-]?\d{4,})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d))?/.exec(iso ?? "");
  if (!match) return iso || DASH;
  const [, year, month, day, hour, minute] = match;
  return hour === undefined ? `${year}-${month}-${day}` : `${year}-${month}-${day} ${hour}:${minute}`;
}

/**
 * A shape: 240 × 64 × 128, or with the axes' names 240 time × 64 lat × 128 lon.
 * @param {readonly number[] | null | undefined} shape
 * @param {readonly string[]} [names]
 */
export function shape(shape, names = []) {
  if (!shape?.length) return DASH;
  return shape.map((n, i) => (names[i] ? `${count(n)}${FIRM}${names[i]}` : count(n))).join(" × ");
}

/** Units as they are printed: kg m-1 s-1 becomes kg m⁻¹ s⁻¹. @param {string | null | undefined} text */
export function units(text) {
  const powers = (text ?? "").replace(/([a-zA-Z])(?:\*\*|\^)?(-?\d)(?!\d)/g, (_, letter, n) => letter + superscript(Number(n)));
  return powers.replaceAll(" ", FIRM);
}

/** A number with its units, in which these are printed. @param {string} text */
export function inPowers(text) {
  return text.replace(/(?<=\d) [^\d±].*$/, (unit) => ` ${units(unit.slice(1))}`);
}

/** A text whose numbers keep their units on the same line: 540 h, 30 °C, 12 voxels. @param {string} text */
export function firm(text) {
  return text.replace(/(\d) (?=(?:h|d|s|min|days?|steps?|voxels?|[°%×]|kg|[a-zA-Z]+⁻)\S*)/g, `$1${FIRM}`);
}

/** One thing or several: 1 object, 3 objects. @param {number} n @param {string} noun */
export function plural(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}
