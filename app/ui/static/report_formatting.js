// Sentences about a score report: the verdict, its symbol, and what the two headline numbers mean.

import { capitalise, formatInterval, formatNumber, formatPercent, formatSigned, isMissing } from "./formatting.js";

/** @import { Report, Verdict, VerdictCode } from "../types.d.ts" */

/** @type {Record<VerdictCode, [symbol: string, tone: "good" | "neutral" | "bad", title: string, answer: string]>} */
const VERDICTS = {
  reads_through_concepts: ["✓", "good", "Reads through its concepts", "Yes"],
  no_better_than_matched: ["≈", "neutral", "No better than matched directions", "Not shown"],
  worse_than_any: ["✕", "bad", "Worse than any directions", "No"],
  too_close_to_chance: ["?", "neutral", "Too close to chance to say", "Undecided"],
  too_few_images: ["?", "neutral", "Too few images to say", "Undecided"],
  not_comparable: ["?", "neutral", "Nothing to compare with", "Undecided"],
};

/** @param {Pick<Verdict, "code">} verdict */
export function describeVerdict({ code }) {
  const [symbol, tone, title, answer] = VERDICTS[code] ?? ["?", "neutral", code, "Undecided"];
  return { symbol, tone, title, answer };
}

/**
 * The reasons of the verdict: accuracies at few concepts, the gain over matched directions, and why the IIS alone decides nothing.
 * @param {Report} report
 * @returns {string[]}
 */
export function describeReasons(report) {
  const { matched, isotropic } = report.controls ?? {};
  if (isMissing(report.iis) || !matched || !isotropic) return [];
  const reasons = [];
  if (!isMissing(report.few_concepts_mean) && !isMissing(matched.few_mean) && !isMissing(isotropic.few_mean)) {
    reasons.push(
      `${quantityTitle(report)} with 5 to 30 concepts per image: ${formatPercent(report.few_concepts_mean)} with these concepts, ` +
        `${formatPercent(matched.few_mean)} with matched directions (random, with the same statistics), ` +
        `${formatPercent(isotropic.few_mean)} with any directions.`,
    );
  }
  if (!isMissing(matched.few_gain) && !isMissing(matched.few_gain_low) && !isMissing(matched.few_gain_high)) {
    const finding =
      matched.few_gain_low > 0
        ? `lies above 0: these concepts carry ${quantityName(report)} that such directions do not`
        : matched.few_gain_high < 0
          ? `lies below 0: such directions carry more ${quantityName(report)} than these concepts`
          : "contains 0: no difference from them is shown";
    const interval = formatInterval(matched.few_gain_low, matched.few_gain_high);
    reasons.push(`The gain over matched directions is ${formatSigned(matched.few_gain)}; its 95 % interval, ${interval}, ${finding}.`);
  }
  reasons.push(
    `The IIS of ${formatNumber(report.iis)} does not decide alone: matched directions have ${formatNumber(matched.iis)}, any directions ${formatNumber(isotropic.iis)}.`,
  );
  return reasons;
}

/**
 * What is retained: accuracy, or mean average precision of multi-label data.
 * @param {Pick<Report, "quantity">} report
 */
export const quantityName = ({ quantity }) => (quantity ?? "accuracy").replaceAll("_", " ");

/** @param {Pick<Report, "quantity">} report */
export const quantityTitle = (report) => capitalise(quantityName(report));

/**
 * The name of the quantity of several reports; both names where they differ.
 * @param {Pick<Report, "quantity">[]} reports or other values with a quantity
 */
export const commonQuantityName = (reports) => [...new Set(reports.map(quantityName))].toSorted().join(" or ");

/**
 * @param {Report} report
 * @returns {string[]}
 */
export function describeReport(report) {
  if (isMissing(report.iis)) {
    const name = quantityName(report);
    return [`No score: the representation's ${name} is no better than chance, so there is no ${name} for concepts to retain.`];
  }
  const accuracy = formatPercent(report.accuracy_representation);
  const sentences = [];
  const reached = report.quantity === "mean_average_precision" ? "a mean average precision of " : "";
  if (!isMissing(report.few_concepts_mean)) {
    sentences.push(`With 5 to 30 concepts per image a linear head reaches ${reached}${formatPercent(report.few_concepts_mean)} on average; on the whole representation it reaches ${accuracy}.`);
  }
  sentences.push(`Averaged over all sparsities, the kept concepts retain ${formatPercent(report.iis)} of that ${quantityName(report)}.`);
  return [...sentences, ...describeEdition(report)];
}

/**
 * @param {Pick<Report, "edition" | "protocol">} report
 * @returns {string[]}
 */
export function describeEdition({ edition, protocol }) {
  if (edition === 2 || protocol !== "exact") return [];
  return ["First edition: activations without centring and calibration. Scores of two editions do not compare; submit the job again for the second."];
}
