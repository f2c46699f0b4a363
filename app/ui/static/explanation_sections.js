// Sections of an explained image: its name, both predictions, labels of multi-label data, concepts for and against.

import { bar } from "./bars.js";
import { conceptName } from "./concept_names.js";
import { el, section, table } from "./dom.js";
import { describeAgreement, describeCorrectness, describeNovelty } from "./explanation_formatting.js";
import { formatPercent, formatSigned } from "./formatting.js";

/** @import { Child, Column, Contribution, Explanation, LabelExplanation, Novelty, Prediction } from "../types.d.ts" */

const SHARES_OF_LABEL = 3;

/** @param {Explanation} explanation */
export function imageName({ image }) {
  return image.name || (image.index === null ? "Your image" : `Test image ${image.index}`);
}

/**
 * A note on the distance of the image from the training images; a warning where it is unlike them.
 * @param {Novelty} novelty
 */
export function noveltyNote(novelty) {
  return el("p", { class: novelty.unlike ? "notice warning" : "help" }, describeNovelty(novelty));
}

/** @param {Explanation} explanation */
export function predictions(explanation) {
  /**
   * @param {string} title
   * @param {Prediction} prediction
   */
  const column = (title, { top }) => {
    const items = top.map(({ class: name, probability }) => {
      const value = el("span", { class: "number" }, formatPercent(probability));
      return el("li", {}, el("span", { class: "class-name" }, name), bar(probability, 1, "neutral"), value);
    });
    return el("div", {}, el("h3", {}, title), el("ol", { class: "ranking" }, items));
  };
  const summary = [describeAgreement(explanation), " ", describeCorrectness(explanation)];
  return el(
    "section",
    { "aria-label": "Predictions" },
    el("p", { class: explanation.agree ? "prediction-summary" : "prediction-summary disagree" }, summary),
    el(
      "div",
      { class: "columns" },
      column("Whole representation", explanation.representation),
      column("Kept concepts", explanation.interpretation),
    ),
  );
}

/**
 * The labels of multi-label data, each with its probability and the concepts that contribute most.
 * @param {LabelExplanation[]} labels
 */
export function labelsSection(labels) {
  /** @type {Column<LabelExplanation>[]} */
  const columns = [
    ["Label", (row) => row.class],
    ["Probability", (row) => formatPercent(row.probability), "number"],
    ["True", (row) => (row.is_true === null ? "–" : row.is_true ? "yes" : "no")],
    ["Largest contributions", (row) => largestContributions(row)],
  ];
  const help = "Each label has a head of its own on the kept concepts; the rest of the page explains the most probable label.";
  return section("labels", "Labels", el("p", { class: "help" }, help), table("Labels of the image", columns, labels));
}

/** @param {LabelExplanation} label */
function largestContributions({ supporting, opposing }) {
  const all = [...supporting, ...opposing].toSorted((first, second) => Math.abs(second.contribution) - Math.abs(first.contribution));
  return all.slice(0, SHARES_OF_LABEL).map((share) => `${conceptName(share)} ${formatSigned(share.contribution, 2)}`).join(", ");
}

/**
 * The concepts that support the explained class, and those that oppose it.
 * @param {Explanation} explanation
 * @param {(contribution: Contribution) => Child} item
 */
export function contributionLists({ supporting, opposing, explained }, item) {
  /**
   * @param {string} id
   * @param {string} title
   * @param {Contribution[]} concepts
   */
  const list = (id, title, concepts) => {
    const content = concepts.length
      ? el("ol", { class: "contributions", "aria-labelledby": id }, concepts.map(item))
      : el("p", { class: "help" }, "None.");
    return el("div", {}, el("h3", { id }, title), content);
  };
  return el(
    "div",
    { class: "columns wide" },
    list("supporting", `Supporting ${explained.class}`, supporting),
    list("opposing", `Opposing ${explained.class}`, opposing),
  );
}
