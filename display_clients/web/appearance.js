/**
 * Owns the drawer in which one chooses how things look: mode, layers, colours, opacity, section, transfer function.
 */

import { TransferEditor } from "./editor.js";
import { COLOURS, inMode, ONE, section, sectionOf } from "./look.js";
import { at } from "./page.js";

/** @typedef {import("./looking.js").Looking} Looking */
/** @typedef {import("./look.js").Look} Look */

export class Appearance {
  /** @param {Looking} looking @param {() => void} opened the drawer has been opened */
  constructor(looking, opened) {
    this.looking = looking;
    this.opened = opened;
    this.editor = new TransferEditor(at("transfer"), (points) => this.field({ opacity_points: points }));
    at("one-colours").append(...Object.entries(ONE).map(([name, colour]) => choiceOf(name, colour)));
    at("colours").replaceChildren(...COLOURS.map((name) => new Option(name, name)));
    at("appearance-toggle").addEventListener("click", () => this.open(Boolean(at("appearance").hidden)));
    at("appearance-close").addEventListener("click", () => this.open(false));
    at("appearance").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && this.open(false));
    this.listen();
  }

  /** @param {boolean} open @param {boolean} [focus] it goes where it belongs */
  open(open, focus = true) {
    at("appearance").hidden = !open;
    at("appearance-toggle").setAttribute("aria-expanded", String(open));
    if (open) this.opened();
    if (open) this.show();
    if (focus) at(open ? "appearance-close" : "appearance-toggle").focus();
  }

  listen() {
    const { looking } = this;
    const change = (/** @type {Partial<Look>} */ part) => looking.change({ ...looking.look, ...part });
    for (const mode of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=mode]"))) {
      mode.addEventListener("change", () => looking.change(inMode(looking.look, /** @type {Look["mode"]} */ (mode.value), looking.span)));
    }
    at("labels").addEventListener("change", () => change({ labels: at("labels").checked }));
    at("opacity").addEventListener("input", () => change({ opacity: Number(at("opacity").value) / 100 }));
    at("colour-by").addEventListener("change", () => this.objects({ colour_by: /** @type {"id"} */ (at("colour-by").value) }));
    at("one-colours").addEventListener("change", (/** @type {Event} */ { target }) => this.objects({ colour: /** @type {HTMLInputElement} */ (target).value }));
    at("other-colour").addEventListener("input", () => this.objects({ colour: at("other-colour").value }));
    for (const draw of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=draw]"))) {
      draw.addEventListener("change", () => this.field({ draw: /** @type {"off"} */ (draw.value) }));
    }
    at("colours").addEventListener("change", () => this.field({ colours: at("colours").value }));
    at("field-opacity").addEventListener("input", () => this.field({ opacity: Number(at("field-opacity").value) / 100 }));
    for (const end of /** @type {const} */ (["low", "high"])) {
      at(end).addEventListener("change", () => this.field({ [end]: at(end).value === "" ? null : Number(at(end).value) }));
    }
    at("transfer-reset").addEventListener("click", () => this.field({ opacity_points: [] }));
    for (const id of /** @type {const} */ (["section-axis", "section-at", "section-turned"])) {
      at(id).addEventListener("input", () => this.cut());
    }
  }

  /** @param {Partial<import("./look.js").FieldLook>} part */
  field(part) {
    const { look } = this.looking;
    this.looking.change({ ...look, field: { ...look.field, ...part } });
  }

  /** @param {Partial<import("./look.js").ObjectLook>} part */
  objects(part) {
    const { look } = this.looking;
    this.looking.change({ ...look, objects: { ...look.objects, ...part } });
  }

  cut() {
    const { look, facts } = this.looking;
    const axis = at("section-axis").value;
    const planes = axis === "" ? [] : [section(/** @type {0 | 1 | 2} */ (Number(axis)), Number(at("section-at").value) / 100, at("section-turned").checked, facts.half)];
    this.looking.change({ ...look, planes });
  }

  /** @param {{dims: string[], on_sphere: boolean, variable: string}} run */
  describe(run) {
    at("modes").hidden = !run.on_sphere;
    const [z, y, x] = run.dims ?? [];
    [x, y, z].forEach((name, i) => (at("section-axis").options[i + 1].textContent = name || "xyz"[i]));
    at("field-name").textContent = `Values (${run.variable || "field"})`;
  }

  /** Shows how it stands. */
  show() {
    const { look, facts } = this.looking;
    const check = (/** @type {string} */ name, /** @type {string} */ value) => {
      const button = /** @type {HTMLInputElement | null} */ (document.querySelector(`input[name=${name}][value=${value}]`));
      if (button) button.checked = true;
    };
    check("mode", look.mode);
    if (at("appearance").hidden) return;
    check("draw", look.field.draw);
    at("labels").checked = look.labels;
    at("opacity").value = String(Math.round(100 * look.opacity));
    at("opacity").disabled = !look.labels;
    at("colour-by").value = look.objects.colour_by;
    at("one-more").hidden = look.objects.colour_by !== "one";
    for (const button of at("one-colours").querySelectorAll("input")) button.checked = button.value === look.objects.colour;
    at("other-colour").value = look.objects.colour;
    const field = facts.field;
    at("field-none").hidden = field !== null;
    at("field-some").hidden = field === null;
    at("field-more").hidden = look.field.draw === "off";
    at("colours").value = look.field.colours;
    at("field-opacity").value = String(Math.round(100 * look.field.opacity));
    for (const end of /** @type {const} */ (["low", "high"])) {
      if (document.activeElement !== at(end)) at(end).value = String(look.field[end] ?? "");
      at(end).placeholder = field ? String(Number(field.range[end === "low" ? 0 : 1].toPrecision(4))) : "";
    }
    if (field) this.editor.show(look.field.opacity_points, field.histogram, field.colours);
    const cut = sectionOf(look.planes[0], facts.half);
    at("section-axis").value = cut ? String(cut.axis) : "";
    if (cut) at("section-at").value = String(Math.round(100 * cut.at));
    at("section-turned").checked = cut?.turned ?? false;
    at("section-more").hidden = cut === null;
  }
}

/** A colour that all objects may have, as a button to choose it. @param {string} name @param {string} colour */
function choiceOf(name, colour) {
  const [label, button, words] = [document.createElement("label"), document.createElement("input"), document.createElement("span")];
  Object.assign(button, { type: "radio", name: "one-colour", value: colour });
  button.style.setProperty("--colour", colour);
  words.className = "unseen";
  words.textContent = label.title = `${name[0].toUpperCase()}${name.slice(1)}`;
  label.append(button, words);
  return label;
}
