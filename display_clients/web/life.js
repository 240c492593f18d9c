/**
 * The chart of an object's life: where its points, areas and marks stand.  Pure; selected.js draws it.
 */

import { area, count, date, units, value } from "./format.js";

/** @typedef {{step: number, voxels: number, area_km2: number | null, mean: number, max: number, y: number, x: number, time?: string}} LifeStep `time`: ISO 8601, where axis 0 is time */
/** @typedef {{key: "area_km2" | "voxels" | "mean" | "max", label: string, write: (n: number | null) => string}} Measure */

export const WIDTH = 420, HEIGHT = 116;
const LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 18;

/** What can be drawn of a run's objects. @param {{on_sphere: boolean, variable: string, units?: string}} run @returns {Measure[]} */
export function measures(run) {
  const unit = run.units ? ` (${units(run.units)})` : "";
  const all = /** @type {Measure[]} */ ([
    { key: "area_km2", label: "Area (km²)", write: area },
    { key: "voxels", label: "Voxels", write: count },
    { key: "mean", label: `Mean ${run.variable}${unit}`, write: value },
    { key: "max", label: `Largest ${run.variable}${unit}`, write: value },
  ]);
  return run.on_sphere ? all : all.slice(1);
}

/** When a step of a life is, as one reads it. @param {Pick<LifeStep, "step" | "time">} at */
export function when({ step, time }) {
  return time ? date(time) : `step ${step}`;
}

/** Round numbers from 0 or below the least to above the largest, two to four of them. @param {number} low @param {number} high */
export function ticks(low, high) {
  const range = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(range / 2));
  const unit = [1, 2, 5, 10].map((n) => n * power).find((n) => range / n <= 3) ?? 10 * power;
  const first = Math.floor(low / unit + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / unit - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * unit).toPrecision(12)));
}

/**
 * @param {readonly LifeStep[]} life
 * @param {Measure["key"]} key
 * @returns {{line: string, fill: string, x: (step: number) => number, step: (x: number) => number, ticks: {n: number, y: number}[], points: {step: number, x: number, y: number, n: number}[]}}
 */
export function chart(life, key) {
  const steps = life.filter((one) => one[key] !== null);
  const first = steps[0]?.step ?? 0;
  const last = Math.max(first + 1, steps.at(-1)?.step ?? 1);
  const values = steps.map((one) => Number(one[key]));
  // Sizes are seen from 0 on; values of the field from where they begin.
  const low = key === "mean" || key === "max" ? Math.min(...values) : 0;
  const marks = steps.length ? ticks(low, Math.max(...values)) : [0, 1];
  const [bottom, top] = [marks[0], /** @type {number} */ (marks.at(-1))];
  const x = (/** @type {number} */ step) => LEFT + ((step - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = (/** @type {number} */ n) => HEIGHT - BOTTOM - ((n - bottom) / (top - bottom || 1)) * (HEIGHT - TOP - BOTTOM);
  const points = steps.map((one) => ({ step: one.step, x: x(one.step), y: y(Number(one[key])), n: Number(one[key]) }));
  const way = points.map((p, i) => `${i ? "L" : "M"}${p.x.toFixed(1)} ${p.y.toFixed(1)}`).join("");
  const floor = HEIGHT - BOTTOM;
  const fill = points.length ? `${way}L${points.at(-1)?.x.toFixed(1)} ${floor}L${points[0].x.toFixed(1)} ${floor}Z` : "";
  const step = (/** @type {number} */ at) => Math.round(first + ((at - LEFT) / (WIDTH - LEFT - RIGHT)) * (last - first));
  return { line: way, fill, x, step, points, ticks: marks.map((n) => ({ n, y: y(n) })) };
}
