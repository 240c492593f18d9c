/**
 * The table of objects as facts: which columns a run has, what stands in them, and in which order.
 */

import { area, count, date, latitude, lifetime, longitude, units, value } from "./format.js";

/**
 * @typedef {object} ObjectRow an object and its totals (streamer/wire/messages.py), times as ISO text
 * @property {number} id
 * @property {number} first_step
 * @property {number} last_step
 * @property {number | null} lifetime_h
 * @property {number} voxels
 * @property {number} mean
 * @property {number} max
 * @property {number | null} footprint_km2
 * @property {number | null} area_time_km2_h
 * @property {number} y
 * @property {number} x
 * @property {boolean} touches_edge
 * @property {boolean} final
 * @property {string} [first_time]
 * @property {string} [last_time]
 */
/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} label
 * @property {string} unit
 * @property {string} hint
 * @property {(row: ObjectRow) => number} sort NaN counts as smallest
 * @property {(row: ObjectRow) => string} text
 */
/** @typedef {{key: string, descending: boolean}} Order */

/** The largest first, as they come. @type {Order} */
export const LARGEST_FIRST = { key: "voxels", descending: true };

/** @param {ObjectRow} row */
const steps = (row) => row.last_step - row.first_step + 1;

/**
 * The columns that make sense for a run.
 * @param {{has_time: boolean, on_sphere: boolean, units: string, dims: string[], variable: string}} run
 * @returns {Column[]}
 */
export function columns(run) {
  const what = `${run.variable} in it${run.units ? `, in ${units(run.units)}` : ""}`;
  const all = [
    column("id", "Object", "", "Number of the object in this run", (row) => row.id, count),
    run.has_time
      ? column("life", "Life", "", "Lifetime, first to last step", (row) => row.lifetime_h, lifetime)
      : column("life", "Steps", "", `Steps along ${run.dims[0] ?? "axis 0"}`, steps, count),
    column("voxels", "Voxels", "", "Size in voxels", (row) => row.voxels, count),
    column("max", "Max", "", `Largest ${what}`, (row) => row.max, value),
    column("mean", "Mean", "over time", `Mean ${what}: a line from first to last step, before its ${run.on_sphere ? "area" : "size"}`, (row) => row.mean, value),
  ];
  if (!run.on_sphere) return all;
  return [...all, column("footprint", "Footprint", "km²", "Area that it ever covered", (row) => row.footprint_km2, area)];
}

/**
 * @param {string} key
 * @param {string} label
 * @param {string} unit
 * @param {string} hint
 * @param {(row: ObjectRow) => number | null} get
 * @param {(n: number | null) => string} write
 * @returns {Column}
 */
function column(key, label, unit, hint, get, write) {
  return { key, label, unit, hint, sort: (row) => get(row) ?? NaN, text: (row) => write(get(row)) };
}

/**
 * The rows in order; equal ones by id, so that the table does not shuffle while it grows.
 * @param {readonly ObjectRow[]} rows
 * @param {readonly Column[]} cols
 * @param {Order} order
 * @returns {ObjectRow[]}
 */
export function sorted(rows, cols, order) {
  const by = cols.find((c) => c.key === order.key) ?? cols[0];
  const sign = order.descending ? -1 : 1;
  const keyed = rows.map((row) => {
    const n = by.sort(row);
    return { row, n: Number.isNaN(n) ? -Infinity : n };
  });
  keyed.sort((a, b) => (a.n === b.n ? a.row.id - b.row.id : sign * (a.n < b.n ? -1 : 1)));
  return keyed.map(({ row }) => row);
}

/**
 * The order after a click on a column's head: numbers start with the largest, ids with the smallest.
 * @param {Order} order
 * @param {string} key
 * @returns {Order}
 */
export function clicked(order, key) {
  if (order.key === key) return { key, descending: !order.descending };
  return { key, descending: key !== "id" };
}

/**
 * What else is known of an object, as one line.
 * @param {ObjectRow} row
 * @param {{has_time: boolean, on_sphere: boolean}} run
 */
export function details(row, run) {
  const parts = [];
  if (run.has_time && row.first_time) parts.push(`${date(row.first_time)} to ${date(row.last_time)}`);
  if (run.on_sphere) parts.push(`around ${latitude(row.y)}, ${longitude(row.x)}`);
  if (row.touches_edge) parts.push("reaches the edge of the data");
  parts.push(row.final ? "final" : "may still grow");
  return parts.join(" · ");
}

/** The table has so many rows at most: those that come first. */
export const MOST_ROWS = 200;

/**
 * A title for the table.
 * @param {number} known objects of which something is known here, the largest ones
 * @param {number} total
 * @param {number} [found] by a search among those that are known
 * @param {boolean} [bySize] the largest come first
 */
export function caption(known, total, found = known, bySize = true) {
  const shown = Math.min(found, MOST_ROWS);
  if (total === 0) return "No object yet";
  if (found < known) {
    const many = shown < found ? `${count(shown)} of ${count(found)}` : count(found);
    return `${many} found among ${known < total ? `the largest ${count(known)}` : count(total)}`;
  }
  if (shown < total) return `The ${bySize ? "largest" : "first"} ${count(shown)} of ${count(total)}`;
  return total === 1 ? "One object" : `All ${count(total)}`;
}

/** What a table to take away leaves out; empty if nothing. @param {number} total @param {number} most that it holds */
export function leftOut(total, most) {
  return total > most ? `The largest ${count(most)} of ${count(total)}:` : "";
}

/** Whether what is looked for may be any object, so that the largest ones do not do. @param {Order} order @param {string} query */
export function needsAll(order, query) {
  return query !== "" || order.key !== LARGEST_FIRST.key || !order.descending;
}

/**
 * Whether an object is what somebody looks for: all words of the query hold.  A word is a part of the id or of what is
 * said of the object, or compares one of the columns: `max>600`, `life>=24`, `voxels<1000`.
 * @param {ObjectRow} row
 * @param {readonly Column[]} cols
 * @param {{has_time: boolean, on_sphere: boolean}} run
 * @param {string} query
 */
export function matches(row, cols, run, query) {
  const said = `${row.id} ${details(row, run)}`.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => {
      const compared = /^([a-z]+)(>=|<=|>|<|=)(-?[\d.]+(?:e[+-]?\d+)?)$/.exec(word);
      const by = compared && cols.find((c) => c.key === compared[1] || c.label.toLowerCase() === compared[1]);
      if (!compared || !by) return said.includes(word);
      const [n, limit] = [by.sort(row), Number(compared[3])];
      return { ">": n > limit, "<": n < limit, ">=": n >= limit, "<=": n <= limit, "=": n === limit }[compared[2]] ?? false;
    });
}
