/**
 * What the parts of a run have said, as it is shown: the newest lines, of one part if wanted.  Pure.
 */

/** @typedef {{time: string, part: string, level: string, text: string}} Line as the control plane tells it */

/** So many are asked for. */
export const LINES = 500;

const LOUD = new Set(["warning", "error", "critical"]);

/** What is asked of the server. @param {string} part empty: all */
export function linesQuery(part) {
  return new URLSearchParams({ lines: String(LINES), ...(part && { part }) }).toString();
}

/** A line in words: when, who, how bad (if it is), what. @param {Line} line */
export function lineInWords(line) {
  const clock = /T(\d\d:\d\d:\d\d)/.exec(line.time)?.[1] ?? line.time;
  // Who speaks stands before the words, and the run is the page's own: neither is said again behind them.
  const text = line.text.replace(/ (?:run|part|worker)=\S+/g, "") || line.text;
  return { clock, part: line.part, level: LOUD.has(line.level) ? line.level : "", text };
}

/** Those who have said something, those that were known before among them. @param {Line[]} lines @param {string[]} before */
export function partsOf(lines, before) {
  return [...new Set([...before, ...lines.map((line) => line.part)])].filter(Boolean).sort();
}

/** Whether two answers are the same, as far as one can see from their ends. @param {Line[]} one @param {Line[]} other */
export function sameLines(one, other) {
  const end = (/** @type {Line | undefined} */ line) => (line ? `${line.time} ${line.part} ${line.text}` : "");
  return one.length === other.length && end(one[0]) === end(other[0]) && end(one.at(-1)) === end(other.at(-1));
}

/** How much is shown. @param {number} lines @param {boolean} over the run has ended */
export function howMuch(lines, over) {
  if (!lines) return over ? "Nothing was said." : "Nothing has been said yet.";
  const newest = lines >= LINES ? `The newest ${lines} lines` : lines === 1 ? "One line" : `${lines} lines`;
  return `${newest}, times in UTC${over ? "" : "; more come by themselves"}.`;
}
