// Sentences about an explanation: agreement, correctness, logit, counterfactual, heat maps.

import { conceptName } from "./concept_names.js";
import { formatCount, formatNumber, formatPercent, isMissing } from "./formatting.js";

/** @import { ClassProbability, CurveNode, Explanation, InterventionResult, Novelty } from "../types.d.ts" */

const MIN_COMPARED = 100; // training images; with fewer, p cannot be below 0.01

/** @param {Pick<Explanation, "representation" | "interpretation" | "agree">} explanation */
export function describeAgreement({ representation, interpretation, agree }) {
  /** @param {ClassProbability} prediction */
  const format = (prediction) => `${prediction.class} (${formatPercent(prediction.probability)})`;
  if (agree) return `Representation and kept concepts agree on ${interpretation.class}.`;
  return `They disagree: ${format(representation)} from the representation, ${format(interpretation)} from the kept concepts.`;
}

/** @param {Pick<Explanation, "image" | "correct">} explanation */
export function describeCorrectness({ image, correct }) {
  if (image.labels) return `True labels: ${image.labels.join(", ") || "none"}.`;
  if (!correct || isMissing(image.label)) return "The true class is unknown.";
  const { representation, interpretation } = correct;
  const outcome =
    representation === interpretation
      ? `both are ${representation ? "correct" : "wrong"}`
      : `only the ${representation ? "representation is" : "kept concepts are"} correct`;
  return `True class: ${image.label}; ${outcome}.`;
}

/**
 * The true class of a test image, or its labels in multi-label data.
 * @param {{label: string | null, labels?: string[] | null}} image
 */
export const describeTrueLabels = ({ label, labels }) => (labels ? labels.join(", ") || "no label" : (label ?? "unknown class"));

/** @param {Pick<Explanation, "explained" | "contrast" | "logit" | "bias">} explanation */
export function describeLogit({ explained, contrast, logit, bias }) {
  const subject = contrast ? `logit difference of ${explained.class} over ${contrast.class}` : `logit of ${explained.class}`;
  return `Sum of contributions (${formatNumber(logit - bias, 2)}) + bias (${formatNumber(bias, 2)}) = ${subject} (${formatNumber(logit, 2)}).`;
}

/**
 * The concepts whose removal changes the prediction, or takes the probability of a label of multi-label data across 1/2.
 * @param {Pick<Explanation, "counterfactual" | "explained" | "labels" | "logit">} explanation
 */
export function describeCounterfactual({ counterfactual, explained, labels, logit }) {
  if (!counterfactual && labels) return `The probability of ${explained.class} stays ${logit >= 0 ? "above" : "below"} 1/2 after any removal of concepts.`;
  if (!counterfactual) return `The prediction stays ${explained.class} after any removal of concepts.`;
  const removed = counterfactual.removed.map((concept) => `“${conceptName(concept)}”`);
  const list = removed.length > 1 ? `${removed.slice(0, -1).join(", ")} and ${removed[removed.length - 1]}` : removed[0];
  if (labels) {
    const rises = counterfactual.class === explained.class; // the other class is the absence of the label
    const probability = rises ? counterfactual.probability : 1 - counterfactual.probability;
    return `Without ${list}, the probability of ${explained.class} ${rises ? "rises above" : "falls below"} 1/2 (${formatPercent(probability)}).`;
  }
  return `Without ${list}, the prediction changes from ${explained.class} to ${counterfactual.class} (${formatPercent(counterfactual.probability)}).`;
}

/**
 * @param {Pick<InterventionResult, "before" | "after" | "changed">} result
 * @param {boolean} isMultiLabel
 */
export function describeIntervention({ before, after, changed }, isMultiLabel) {
  const subject = isMultiLabel ? "most probable label" : "prediction";
  if (changed) return `The ${subject} changes from ${before.class} to ${after.class} (${formatPercent(after.probability)}).`;
  return `The ${subject} stays ${after.class}: ${formatPercent(after.probability)} instead of ${formatPercent(before.probability)}.`;
}

/**
 * @param {CurveNode} node
 * @param {number} conceptCount
 */
export const describeNode = ({ kept, sparsity }, conceptCount) => `${kept} of ${conceptCount} concepts kept, sparsity ${formatNumber(sparsity, 2)}`;

const ROWS = ["upper", "middle", "lower"];
const COLUMNS = ["left", "centre", "right"];

/**
 * The third of a length in which an index lies: 0, 1 or 2.
 * @param {number} index
 * @param {number} length
 */
const thirdOf = (index, length) => Math.min(2, Math.floor((3 * (index + 0.5)) / length));

/**
 * Position and sign of the largest magnitude in a heat map: a text alternative.
 * @param {number[][]} values rows of the map
 */
export function describePeak(values) {
  const peak = { magnitude: 0, value: 0, x: 0, y: 0 };
  for (const [y, row] of values.entries()) {
    for (const [x, value] of row.entries()) {
      if (Math.abs(value) > peak.magnitude) Object.assign(peak, { magnitude: Math.abs(value), value, x, y });
    }
  }
  if (!peak.magnitude) return "no maximum";
  const vertical = ROWS[thirdOf(peak.y, values.length)];
  const horizontal = COLUMNS[thirdOf(peak.x, values[0].length)];
  const place = vertical === "middle" && horizontal === "centre" ? "centre" : `${vertical} ${horizontal}`;
  return `largest in the ${place}, where it ${peak.value > 0 ? "raises" : "lowers"} the activation`;
}

/**
 * Distance of an image from the training images, as a sentence.
 * @param {Novelty} novelty
 */
export function describeNovelty({ distance, typical_distance: typical, p_value: p, unlike, training_images: compared }) {
  const distances = `the distance of its representation to the nearest training image is ${formatNumber(distance)}, that of training images typically ${formatNumber(typical)}`;
  if (compared < MIN_COMPARED) return `${formatCount(compared, "training image is", "training images are")} too few to judge whether this image is unlike them: ${distances}.`;
  const significance = p < 0.001 ? "p < 0.001" : `p = ${formatNumber(p)}`;
  if (unlike) return `This image is unlike the training images (${significance}): ${distances}. The explanation may say little.`;
  return `Not unlike the training images (${significance}): ${distances}.`;
}
