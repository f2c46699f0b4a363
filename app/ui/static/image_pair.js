// Another test image beside the explained one: the same concept's heat map on both, and the concepts of both with their contributions.

import { conceptLabel } from "./concept_names.js";
import { el, loadInto, section, table } from "./dom.js";
import { explanationPath, getFromWorker } from "./explanation_requests.js";
import { imageName } from "./explanation_sections.js";
import { formatSigned } from "./formatting.js";
import { PairPicture } from "./pair_picture.js";

/** @import { Column, Contribution, Explanation } from "../types.d.ts" */

/** @typedef {{contribution: Contribution, values: [own: number | undefined, other: number | undefined]}} SharedConcept */

/**
 * @param {Explanation} explanation
 * @param {string | undefined} beside number of the other image, from the page's address
 * @param {(beside: string) => void} onShow
 */
export function imagePair(explanation, beside, onShow) {
  const number = el("input", { id: "beside", type: "number", min: 0, step: 1, required: true, value: beside });
  const form = el("form", { class: "choices" }, el("label", { for: "beside" }, "Number of a test image ", number), el("button", {}, "Show beside this one"));
  const region = el("div");
  const show = () => loadInto(region, "Loading the other image …", async () => pairView(explanation, await loadOther(explanation, number.value)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    onShow(number.value);
    show();
  });
  if (beside) show();
  return section("pair", "Beside another image", form, region);
}

/**
 * @param {Explanation} explanation
 * @param {string} image
 * @returns {Promise<Explanation>}
 */
const loadOther = ({ job, kept }, image) => getFromWorker(explanationPath(job, image, { kept, top: 8 }));

/**
 * @param {Explanation} own
 * @param {Explanation} other
 */
function pairView(own, other) {
  const pictures = [own, other].map((explanation) => new PairPicture(explanation));
  const concepts = conceptsOfBoth(own, other);
  /** @type {HTMLButtonElement[]} */
  const buttons = [];
  /** @param {Contribution} contribution */
  function choose(contribution) {
    for (const [index, button] of buttons.entries()) button.setAttribute("aria-pressed", String(concepts[index].contribution.concept === contribution.concept));
    for (const picture of pictures) picture.show(contribution);
  }
  /** @param {SharedConcept} item */
  const name = ({ contribution }) => {
    const button = el("button", { type: "button", class: "concept-choice", "aria-pressed": "false" }, conceptLabel(contribution));
    button.addEventListener("click", () => choose(contribution));
    buttons.push(button);
    return button;
  };
  /** @param {0 | 1} place */
  const value = (place) => (/** @type {SharedConcept} */ { values }) => (values[place] === undefined ? "–" : formatSigned(values[place], 2));
  /** @type {Column<SharedConcept>[]} */
  const columns = [
    ["Concept", name],
    [`${imageName(own)}, for ${own.explained.class}`, value(0), "number"],
    [`${imageName(other)}, for ${other.explained.class}`, value(1), "number"],
  ];
  const help = "Contributions to the predicted class of each image; a dash: not among its largest. Choose a concept to see its heat map on both.";
  const shown = el("div", { class: "pair" }, pictures.map(({ node }) => node));
  const contributions = table("Concepts of both images", columns, concepts);
  if (concepts.length) choose(concepts[0].contribution);
  return [shown, el("p", { class: "help" }, help), contributions];
}

/**
 * The largest contributions of either image, those that both share first.
 * @param {Explanation} own
 * @param {Explanation} other
 * @returns {SharedConcept[]}
 */
export function conceptsOfBoth(own, other) {
  const [ofOwn, ofOther] = [own, other].map(({ supporting, opposing }) => new Map([...supporting, ...opposing].map((each) => [each.concept, each])));
  const all = new Map([...ofOther, ...ofOwn]);
  /** @param {SharedConcept} item */
  const size = ({ values }) => Math.abs(values[0] ?? 0) + Math.abs(values[1] ?? 0);
  /** @param {SharedConcept} item */
  const isShared = ({ values }) => Number(!values.includes(undefined));
  return [...all.values()]
    .map((contribution) => /** @type {SharedConcept} */ ({ contribution, values: [ofOwn.get(contribution.concept)?.contribution, ofOther.get(contribution.concept)?.contribution] }))
    .toSorted((first, second) => isShared(second) - isShared(first) || size(second) - size(first));
}
