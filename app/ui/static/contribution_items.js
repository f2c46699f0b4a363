// List items of concept contributions: name, bar, crops, activation, and a further control. One concept at a time is selected.

import { bar } from "./bars.js";
import { conceptName } from "./concept_names.js";
import { crops } from "./crops.js";
import { el } from "./dom.js";
import { formatNumber, formatSigned } from "./formatting.js";

/** @import { Contribution } from "../types.d.ts" */

export class ContributionItems {
  /**
   * @param {string | null} conceptsPath path of the job's concept pages; null: no links to them
   * @param {number} largest magnitude of all contributions
   * @param {number | null} selected concept
   * @param {(contribution: Contribution) => void} onSelect
   */
  constructor(conceptsPath, largest, selected, onSelect) {
    this.conceptsPath = conceptsPath;
    this.largest = largest;
    this.selected = selected;
    this.onSelect = onSelect;
    /** @type {HTMLButtonElement[]} */
    this.buttons = [];
    /** @type {number[]} */
    this.concepts = [];
  }

  /**
   * @param {Contribution} contribution
   * @param {HTMLElement | null} control
   */
  item(contribution, control) {
    const name = conceptName(contribution);
    const address = `${this.conceptsPath}/${contribution.concept}`;
    const link = this.conceptsPath === null ? null : el("a", { href: address, class: "help", "aria-label": `Details of ${name}` }, "details");
    const activation = el("span", { class: "help" }, `activation ${formatNumber(contribution.activation, 2)} `, link);
    const value = el("span", { class: "number" }, formatSigned(contribution.contribution, 2));
    return el(
      "li",
      {},
      el("div", { class: "contribution" }, this.button(contribution, name), bar(contribution.contribution, this.largest), value),
      el("div", { class: "contribution-details" }, crops(contribution.exemplars, null, 4), activation),
      control,
    );
  }

  /**
   * @param {Contribution} contribution
   * @param {string} name
   */
  button(contribution, name) {
    const pressed = String(this.selected === contribution.concept);
    const button = el("button", { type: "button", class: "concept-choice", "aria-pressed": pressed }, name);
    button.addEventListener("click", () => this.onSelect(contribution));
    button.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (!step) return;
      event.preventDefault();
      this.buttons[this.buttons.indexOf(button) + step]?.focus();
    });
    this.buttons.push(button);
    this.concepts.push(contribution.concept);
    return button;
  }

  /**
   * Mark the items of a concept as selected.
   * @param {number} concept
   */
  select(concept) {
    this.selected = concept;
    for (const [index, button] of this.buttons.entries()) button.setAttribute("aria-pressed", String(this.concepts[index] === concept));
  }
}
