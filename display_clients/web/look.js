/**
 * What is seen and how: the look, a record that goes to the renderer, comes back in notes and stands in the link.
 *
 * Pure: a look in, a look out.  Its fields are those of streamer/wire/viewing.py, without what concerns walls alone;
 * what comes from outside is read by `sound`, which takes what can be drawn and leaves the rest as usual.
 */

/** @typedef {[number, number, number]} Vector (x, y, z) in the scene, whose box lies around the origin */
/** @typedef {{point: Vector, normal: Vector}} Plane what lies behind it is not drawn */
/**
 * @typedef {object} FieldLook
 * @property {"off" | "slice" | "volume"} draw
 * @property {string} colours name of a colour map
 * @property {number | null} low null: the low end of the run's range
 * @property {number | null} high
 * @property {number} opacity
 * @property {[number, number][]} opacity_points (share of the range, opacity), rising; none: a ramp
 */
/**
 * @typedef {object} ObjectLook
 * @property {"id" | "one"} colour_by each object its own, or all the same
 * @property {string} colour the one of all, as #rrggbb
 */
/**
 * @typedef {object} Look
 * @property {"cube" | "globe" | "map"} mode
 * @property {number | null} time step along axis 0; null: the newest one with data
 * @property {[number, number] | null} window only these steps are drawn, both included; null: all
 * @property {number[]} selected ids of objects
 * @property {boolean} isolate the selected ones alone
 * @property {Plane[]} planes
 * @property {boolean} labels
 * @property {number} opacity
 * @property {FieldLook} field
 * @property {ObjectLook} objects
 */
/** Which steps a cube shows besides the chosen one. @typedef {"until" | "only" | "all"} Span */

export const MOST_SELECTED = 64, MOST_PLANES = 6, MOST_POINTS = 16;
const MOST_ID = Number.MAX_SAFE_INTEGER;
const FARTHEST = 1e12;

/** Colour maps that the renderer offers (renderers/colours.py). */
export const COLOURS = [
  "ice", "rain", "dense", "deep", "thermal", "haline", "tempo", "amp", "balance",
  "grey", "fire", "bmw", "blues", "batlow", "lapaz", "viridis", "cividis",
];

/** Colours that are offered for all objects (streamer/wire/colour.py), by their names; the first one is the usual one. */
export const ONE = {
  grey: "#d2d8e0", blue: "#56b4e9", green: "#22a07c", yellow: "#f0e442", orange: "#e69f00", red: "#d85a1e", pink: "#cc79a7",
};

/** @returns {Look} */
export function usual() {
  return {
    mode: "cube", time: null, window: null, selected: [], isolate: false, planes: [], labels: true, opacity: 1,
    field: { draw: "off", colours: "ice", low: null, high: null, opacity: 0.6, opacity_points: [] },
    objects: { colour_by: "id", colour: ONE.grey },
  };
}

/** @param {unknown} n @returns {n is number} */
const number = (n) => typeof n === "number" && Math.abs(n) <= FARTHEST;
/** @param {unknown} n @returns {n is number} */
const share = (n) => typeof n === "number" && n >= 0 && n <= 1;
/** @param {unknown} list @param {number} length @param {(n: unknown) => boolean} each */
const row = (list, length, each) => Array.isArray(list) && list.length === length && list.every(each);

/**
 * A look from what may be anything: a link that somebody wrote, a note.
 * @param {any} given
 * @returns {Look}
 */
export function sound(given) {
  const look = usual();
  if (typeof given !== "object" || given === null) return look;
  if (["cube", "globe", "map"].includes(given.mode)) look.mode = given.mode;
  if (number(given.time)) look.time = given.time;
  if (row(given.window, 2, number)) look.window = [given.window[0], given.window[1]];
  if (Array.isArray(given.selected)) {
    const ids = given.selected.filter((/** @type {unknown} */ id) => Number.isSafeInteger(id) && Number(id) > 0 && Number(id) <= MOST_ID);
    look.selected = [...new Set(/** @type {number[]} */ (ids))].slice(0, MOST_SELECTED);
  }
  look.isolate = given.isolate === true;
  if (Array.isArray(given.planes)) {
    look.planes = given.planes
      .filter((/** @type {any} */ plane) => row(plane?.point, 3, number) && row(plane?.normal, 3, number) && Math.hypot(...plane.normal) > 1e-6)
      .slice(0, MOST_PLANES)
      .map((/** @type {Plane} */ { point, normal }) => ({ point, normal }));
  }
  if (given.labels === false) look.labels = false;
  if (share(given.opacity)) look.opacity = given.opacity;
  look.field = soundField(given.field);
  if (given.objects?.colour_by === "one") look.objects.colour_by = "one";
  if (typeof given.objects?.colour === "string" && /^#[0-9a-f]{6}$/i.test(given.objects.colour)) look.objects.colour = given.objects.colour.toLowerCase();
  return look;
}

/** @param {any} given @returns {FieldLook} */
function soundField(given) {
  const { field } = usual();
  if (typeof given !== "object" || given === null) return field;
  if (["off", "slice", "volume"].includes(given.draw)) field.draw = given.draw;
  if (COLOURS.includes(given.colours)) field.colours = given.colours;
  if (number(given.low)) field.low = given.low;
  if (number(given.high)) field.high = given.high;
  if (share(given.opacity)) field.opacity = given.opacity;
  if (Array.isArray(given.opacity_points) && given.opacity_points.every((/** @type {unknown} */ p) => row(p, 2, share))) {
    field.opacity_points = given.opacity_points.slice(0, MOST_POINTS);
  }
  return field;
}

/**
 * What of a look is not as usual.
 * @param {Look} look
 * @returns {Record<string, unknown>}
 */
export function unusual(look) {
  return differences(look, usual());
}

/** What of a look is other than in another one. @param {any} from @param {any} to @returns {Record<string, unknown>} */
export function differences(from, to) {
  const found = /** @type {Record<string, unknown>} */ ({});
  for (const name of Object.keys(to)) {
    if (JSON.stringify(from[name]) === JSON.stringify(to[name])) continue;
    found[name] = ["field", "objects"].includes(name) ? differences(from[name], to[name]) : from[name];
  }
  return found;
}

/** @param {Look} one @param {Look} other */
export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

// ------------------------------------------------------------------ objects

/** The colour that all objects have; null: each has its own. @param {Look} look */
export function oneColour({ objects }) {
  return objects.colour_by === "one" ? objects.colour : null;
}

/**
 * The look after somebody has chosen an object: it alone, or it besides the others; once more, and it is let go.
 * @param {Look} look
 * @param {number | null} id null: nothing was there
 * @param {boolean} besides
 * @returns {Look}
 */
export function choose(look, id, besides) {
  if (id === null) return besides ? look : { ...look, selected: [], isolate: false };
  const there = look.selected.includes(id);
  const others = besides ? look.selected.filter((one) => one !== id) : [];
  const selected = there && (besides || look.selected.length === 1) ? others : [...others, id].slice(-MOST_SELECTED);
  return { ...look, selected, isolate: look.isolate && selected.length > 0 };
}

// ------------------------------------------------------------------ time

/** Which steps a look shows besides that of its time cursor. @param {Look} look @returns {Span} */
export function spanOf({ window, time }) {
  if (window === null) return "all";
  return time !== null && window[0] === time ? "only" : "until";
}

/**
 * The look at a step, or at the newest one.
 * @param {Look} look
 * @param {number | null} step null: live
 * @param {Span} span what a cube shows besides
 * @returns {Look}
 */
export function atStep(look, step, span) {
  const ends = /** @type {Record<Span, [number, number] | null>} */ ({ all: null, until: [0, step ?? 0], only: [step ?? 0, step ?? 0] });
  return { ...look, time: step, window: step === null || look.mode !== "cube" ? null : ends[span] };
}

/** The look in another mode; the time stays. @param {Look} look @param {Look["mode"]} mode @param {Span} span */
export function inMode(look, mode, span) {
  return atStep({ ...look, mode }, look.time, span);
}

// ------------------------------------------------------------------ section

/**
 * A section through the box: what lies beyond a share of one axis is cut away.
 * @param {0 | 1 | 2} axis of the scene, (x, y, z)
 * @param {number} at share of the box, 0 to 1
 * @param {boolean} turned what lies before it is cut away instead
 * @param {readonly number[]} half of the box, (x, y, z)
 * @returns {Plane}
 */
export function section(axis, at, turned, half) {
  const on = (/** @type {number} */ n) => /** @type {Vector} */ ([0, 1, 2].map((i) => (i === axis ? n : 0)));
  return { point: on((2 * at - 1) * half[axis]), normal: on(turned ? 1 : -1) };
}

/**
 * The section that a plane is; null if it is none.
 * @param {Plane | undefined} plane
 * @param {readonly number[]} half
 * @returns {{axis: 0 | 1 | 2, at: number, turned: boolean} | null}
 */
export function sectionOf(plane, half) {
  const axis = /** @type {0 | 1 | 2} */ (plane?.normal.findIndex((n) => n !== 0) ?? -1);
  if (!plane || !(axis in half)) return null;
  const at = Math.min(1, Math.max(0, (plane.point[axis] / half[axis] + 1) / 2));
  return { axis, at, turned: plane.normal[axis] > 0 };
}
