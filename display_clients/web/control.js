/**
 * Owns the fields that a segmenter's schema asks for: makes them, fills them, reads them, and says at each what is wrong.
 */

import { shownFirst, spelled } from "./fields.js";
import { units } from "./format.js";

/** @typedef {import("./fields.js").Field} Field */
/** @typedef {HTMLInputElement | HTMLSelectElement} Control */

/** Says at a control what is wrong with it; empty: nothing any more. @param {HTMLElement} control @param {string} why */
export function complain(control, why) {
  const place = document.getElementById(`${control.id}-wrong`);
  if (place && place.textContent !== why) place.textContent = why;
  if (why) control.setAttribute("aria-invalid", "true");
  else control.removeAttribute("aria-invalid");
}

/** @param {HTMLSelectElement} select @param {{value: string, text: string, disabled?: boolean}[]} options */
export function offer(select, options) {
  select.replaceChildren(...options.map(({ value, text, disabled }) => {
    const option = new Option(text, value);
    option.disabled = disabled ?? false;
    return option;
  }));
}

/** @param {string} tag @param {string} id @param {string} name @param {string} text */
function paragraph(tag, id, name, text) {
  const made = document.createElement(tag);
  Object.assign(made, { id, className: name, textContent: text });
  return made;
}

export class Controls {
  /** @param {HTMLElement} first @param {HTMLDetailsElement} later */
  constructor(first, later) {
    this.first = first;
    this.later = later;
    this.fields = /** @type {Field[]} */ ([]);
    this.controls = /** @type {Map<string, Control>} */ (new Map());
    this.typed = new Set();
  }

  /** Shows the fields of a segmenter. @param {Field[]} fields @param {string} unit of the data */
  show(fields, unit) {
    this.fields = fields;
    this.controls.clear();
    this.typed.clear();
    const { first, later } = shownFirst(fields);
    this.first.replaceChildren(...first.map((field) => this.made(field, unit)));
    const rest = /** @type {HTMLElement} */ (this.later.querySelector("div"));
    rest.replaceChildren(...later.map((field) => this.made(field, unit)));
    /** @type {HTMLElement} */ (this.later.querySelector("summary")).textContent = `${later.length} more settings`;
    this.later.hidden = !later.length;
    this.later.open = false;
  }

  /** @param {Field} field @param {string} unit */
  made(field, unit) {
    const id = `new-parameter-${field.name}`;
    const box = document.createElement("div");
    box.className = "field";
    const label = document.createElement("label");
    label.htmlFor = id;
    label.textContent = field.label;
    if (field.kind === "number" && field.name.endsWith("threshold") && unit) {
      label.append(" ", paragraph("small", "", "", units(unit)));
    }
    const control = this.control(field);
    control.id = id;
    if (field.required) control.setAttribute("aria-required", "true");
    control.setAttribute("aria-describedby", `${id}-wrong ${id}-hint`);
    control.addEventListener("input", () => {
      this.typed.add(field.name);
      complain(control, "");
    });
    this.controls.set(field.name, control);
    box.append(label, control, paragraph("p", `${id}-wrong`, "wrong", ""), paragraph("p", `${id}-hint`, "hint", field.hint));
    return box;
  }

  /** @param {Field} field @returns {Control} */
  control(field) {
    if (field.kind !== "choice" && field.kind !== "flag") {
      const input = document.createElement("input");
      input.type = "text";
      input.autocomplete = "off";
      if (field.kind === "number") input.inputMode = field.whole ? "numeric" : "decimal";
      if (field.usual !== null) input.placeholder = String(field.usual);
      else if (!field.required) input.placeholder = "as usual";
      return input;
    }
    const select = document.createElement("select");
    const choices = field.kind === "flag" ? [true, false] : field.choices;
    const usual = field.usual === null ? [] : [{ value: String(field.usual), text: `${spelled(field.usual)} (as usual)` }];
    const none = field.usual !== null ? [] : [{ value: "", text: field.required ? "Choose…" : "as usual" }];
    const others = choices.filter((one) => one !== field.usual);
    const all = field.usual === null ? none : usual;
    offer(select, [...all, ...others.map((one) => ({ value: String(one), text: spelled(one) }))]);
    return select;
  }

  /** What the data suggest stands where nobody has typed. @param {Record<string, import("./fields.js").Parameter>} suggested */
  suggest(suggested) {
    for (const [name, control] of this.controls) {
      if (this.typed.has(name) || !(control instanceof HTMLInputElement)) continue;
      control.value = name in suggested ? String(suggested[name]) : "";
      complain(control, "");
    }
  }

  /** @returns {Record<string, string>} */
  texts() {
    return Object.fromEntries([...this.controls].map(([name, control]) => [name, control.value]));
  }
}
