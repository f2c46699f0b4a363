// One test image through two models: predictions, concepts with their contributions, and the heat map of the chosen concept of each.

import { bar, maxMagnitude } from "./bars.js";
import { conceptName } from "./concept_names.js";
import { el, loadInto, section } from "./dom.js";
import { explanationPath, getFromWorker } from "./explanation_requests.js";
import { formatSigned } from "./formatting.js";
import { describeCorrectness, describeNode } from "./explanation_formatting.js";
import { PairPicture } from "./pair_picture.js";

/** @import { Contribution, Explanation } from "../types.d.ts" */

const LISTED = 8;

/**
 * @param {[string, string]} jobs
 * @param {string[]} titles
 * @param {string} image number of a test image from the page's address, or empty
 * @param {(image: string) => void} onShow
 */
export function imageThroughBoth(jobs, titles, image, onShow) {
  const number = el("input", { id: "image", type: "number", min: 0, step: 1, required: true, value: image || 0 });
  const form = el("form", { class: "choices" }, el("label", { for: "image" }, "Number of a test image ", number), el("button", {}, "Show"));
  const region = el("div");
  const show = () =>
    loadInto(region, "Loading both explanations …", async () => {
      /** @type {Explanation[]} */
      const explanations = await Promise.all(jobs.map((job) => getFromWorker(explanationPath(job, number.value, { top: LISTED }))));
      return el("div", { class: "columns wide" }, explanations.map((explanation, index) => column(explanation, titles[index])));
    });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onShow(number.value);
    show();
  });
  if (image) show();
  return section("image-of-both", "One image through both models", form, region);
}

/**
 * @param {Explanation} explanation
 * @param {string} title
 */
function column(explanation, title) {
  const picture = new PairPicture(explanation);
  const shown = [...explanation.supporting, ...explanation.opposing]
    .toSorted((first, second) => Math.abs(second.contribution) - Math.abs(first.contribution))
    .slice(0, LISTED);
  const largest = maxMagnitude(shown.map(({ contribution }) => contribution));
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  /** @param {Contribution} contribution */
  function choose(contribution) {
    for (const [index, button] of buttons.entries()) button.setAttribute("aria-pressed", String(shown[index] === contribution));
    picture.show(contribution);
  }
  const items = shown.map((contribution) => {
    const button = el("button", { type: "button", class: "concept-choice", "aria-pressed": "false" }, conceptName(contribution));
    button.addEventListener("click", () => choose(contribution));
    buttons.push(button);
    const value = el("span", { class: "number" }, formatSigned(contribution.contribution, 2));
    return el("li", {}, el("div", { class: "contribution" }, button, bar(contribution.contribution, largest), value));
  });
  if (shown.length) choose(shown[0]);
  return el(
    "div",
    {},
    el("h3", {}, el("a", { href: `/jobs/${explanation.job}/images/${explanation.image.id}?kept=${explanation.kept}` }, title)),
    picture.node,
    el("p", { class: "help" }, `${describeNode(explanation, explanation.concept_count)}. ${describeCorrectness(explanation)}`),
    el("ol", { class: "contributions", "aria-label": `Concepts of ${title}` }, items),
  );
}
