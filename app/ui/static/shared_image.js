// A shared image: its predictions, heat maps and concept contributions, without controls that ask for other explanations.

import { maxMagnitude } from "./bars.js";
import { ContributionItems } from "./contribution_items.js";
import { el, section } from "./dom.js";
import { describeCounterfactual, describeLogit, describeNode } from "./explanation_formatting.js";
import { contributionLists, imageName, labelsSection, noveltyNote, predictions } from "./explanation_sections.js";
import { faithfulnessSection } from "./faithfulness.js";
import { ImageFigure } from "./image_figure.js";

/** @import { Contribution, Explanation } from "../types.d.ts" */

/** @param {Explanation} explanation */
export function sharedImage(explanation) {
  const all = [...explanation.supporting, ...explanation.opposing];
  const items = new ContributionItems(null, maxMagnitude(all.map(({ contribution }) => contribution)), null, select);
  const figure = new ImageFigure(explanation, select);
  /** @param {Contribution} contribution */
  function select(contribution) {
    items.select(contribution.concept);
    figure.show(contribution);
  }
  const lists = contributionLists(explanation, (contribution) => items.item(contribution, null));
  const shown = figure.strip[0];
  if (shown) items.select(shown.concept);
  figure.start(shown);
  const node = `${describeNode(explanation, explanation.concept_count)}.`;
  const help = el("p", { class: "help" }, node, " ", describeLogit(explanation));
  const rightSide = el("div", {}, predictions(explanation), section("contributions", "Concept contributions", help, lists));
  return [
    el("h2", {}, imageName(explanation)),
    explanation.novelty ? noveltyNote(explanation.novelty) : null,
    el("div", { class: explanation.links.image ? "viewer" : "" }, figure.node, rightSide),
    explanation.labels ? labelsSection(explanation.labels) : null,
    section("counterfactual", "Counterfactual", el("p", {}, describeCounterfactual(explanation))),
    faithfulnessSection(explanation),
  ];
}
