// Interventions: controls that scale or set a concept's activation, and the predicted probabilities afterwards.

import { bar } from "./bars.js";
import { conceptName } from "./concept_names.js";
import { announce, el, errorNotice, table } from "./dom.js";
import { describeIntervention } from "./explanation_formatting.js";
import { hasChanges, interventionRequest, postToWorker } from "./explanation_requests.js";
import { formatNumber, formatPercent, formatSigned } from "./formatting.js";

/** @import { Column, ConceptChange, Contribution, Explanation, InterventionResult } from "../types.d.ts" */

const PAUSE_MILLISECONDS = 250;
const MAX_CLASSES = 6;
const MAX_FACTOR = 3;

export class Interventions {
  /** @param {Explanation} explanation */
  constructor(explanation) {
    this.explanation = explanation;
    /** @type {Map<number, ConceptChange>} */
    this.changes = new Map();
    /** @type {(() => void)[]} */
    this.resets = [];
    this.requests = 0; // number of requests and resets; responses to earlier ones are discarded
    /** @type {number | undefined} */
    this.timer = undefined;
    const help = "Move a concept's slider left to suppress it or right to boost it, or enter an activation.";
    this.outcome = el("div", { role: "status" }, el("p", { class: "help" }, help));
    this.line = el("p", { class: "what-if", hidden: true }); // below the control that was changed last
    const reset = el("button", { type: "button", onclick: () => this.reset() }, "Reset");
    const heading = el("h2", { id: "interventions" }, "Interventions");
    this.node = el("section", { "aria-labelledby": "interventions", class: "interventions" }, heading, this.outcome, reset);
  }

  /**
   * Slider and activation field of one concept.
   * @param {Contribution} contribution
   */
  control(contribution) {
    const { concept } = contribution;
    const name = conceptName(contribution);
    const slider = el("input", { type: "range", min: 0, max: MAX_FACTOR, step: 0.1, value: 1, "aria-label": `Strength of ${name}` });
    const activation = el("input", {
      inputmode: "decimal",
      size: 6,
      "aria-label": `Activation of ${name}`,
      placeholder: formatNumber(contribution.activation, 2),
    });
    const state = el("output");
    const showState = () => {
      const factor = Number(slider.value);
      if (activation.value) state.textContent = "set";
      else state.textContent = factor === 1 ? "unchanged" : factor === 0 ? "suppressed" : `× ${formatNumber(factor, 1)}`;
      slider.setAttribute("aria-valuetext", state.textContent);
    };
    const control = el("div", { class: "intervention-control" }, slider, state, activation);
    slider.addEventListener("input", () => {
      control.after(this.line);
      activation.value = "";
      this.changes.set(concept, { factor: Number(slider.value) });
      showState();
      this.schedule();
    });
    activation.addEventListener("change", () => {
      control.after(this.line);
      const value = Number(activation.value.replace(",", ".").replace("−", "-"));
      const valid = activation.value !== "" && Number.isFinite(value);
      activation.toggleAttribute("aria-invalid", activation.value !== "" && !valid);
      this.changes.set(concept, valid ? { activation: value } : { factor: Number(slider.value) });
      showState();
      this.schedule();
    });
    this.resets.push(() => {
      slider.value = "1";
      activation.value = "";
      showState();
    });
    showState();
    return control;
  }

  reset() {
    this.requests += 1;
    this.line.hidden = true;
    this.changes.clear();
    for (const resetControl of this.resets) resetControl();
    this.outcome.replaceChildren(el("p", { class: "help" }, "All changes were reset."));
  }

  schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), PAUSE_MILLISECONDS);
  }

  async send() {
    const body = interventionRequest(this.changes, this.explanation.kept);
    if (!hasChanges(body)) return this.reset();
    const number = ++this.requests;
    try {
      /** @type {InterventionResult} */
      const result = await postToWorker(this.explanation.links.interventions, { json: body });
      if (number === this.requests) this.show(result);
    } catch (error) {
      this.outcome.replaceChildren(errorNotice(error));
    }
  }

  /** @param {InterventionResult} result */
  show({ before, after, changed, probabilities }) {
    const isMultiLabel = Boolean(this.explanation.labels);
    const sentence = describeIntervention({ before, after, changed }, isMultiLabel);
    const rows = probabilities
      .toSorted((first, second) => Math.max(second.before, second.after) - Math.max(first.before, first.after))
      .slice(0, MAX_CLASSES);
    /** @type {Column<InterventionResult["probabilities"][number]>[]} */
    const columns = [
      [isMultiLabel ? "Label" : "Class", (row) => row.class],
      ["Before", (row) => formatPercent(row.before), "number"],
      ["After", (row) => formatPercent(row.after), "number"],
      ["", (row) => bar(row.after, 1, "neutral")],
      ["Change", (row) => formatSigned(100 * (row.after - row.before), 1), "number"],
    ];
    this.line.hidden = false;
    this.line.textContent = sentence;
    this.line.classList.toggle("disagree", changed);
    const summary = el("p", { class: changed ? "prediction-summary disagree" : "prediction-summary" }, sentence);
    this.outcome.replaceChildren(summary, table("Probabilities before and after", columns, rows));
    announce(sentence);
  }
}
