// Sentences about a score report: the verdict, its symbol, and what the two headline numbers mean.

import { formatPercent, isMissing } from "./formatting.js";

/** @import { Report, Verdict, VerdictCode } from "../types.d.ts" */

/** @type {Record<VerdictCode, [symbol: string, tone: "good" | "neutral" | "bad", title: string]>} */
const VERDICTS = {
  reads_through_concepts: ["✓", "good", "Reads through its concepts"],
  no_better_than_matched: ["≈", "neutral", "No better than matched directions"],
  worse_than_any: ["✕", "bad", "Worse than any directions"],
  too_close_to_chance: ["?", "neutral", "Too close to chance to say"],
  too_few_images: ["?", "neutral", "Too few images to say"],
  not_comparable: ["?", "neutral", "Nothing to compare with"],
};

/** @param {Pick<Verdict, "code">} verdict */
export function describeVerdict({ code }) {
  const [symbol, tone, title] = VERDICTS[code] ?? ["?", "neutral", code];
  return { symbol, tone, title };
}

/**
 * What is retained: accuracy, or mean average precision of multi-label data.
 * @param {Pick<Report, "quantity">} report
 */
export const quantityName = ({ quantity }) => (quantity ?? "accuracy").replaceAll("_", " ");

/** @param {Pick<Report, "quantity">} report */
export function quantityTitle(report) {
  const name = quantityName(report);
  return name[0].toUpperCase() + name.slice(1);
}

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
  if (report.edition !== 2 && report.protocol === "exact") {
    sentences.push("First edition: activations without centring and calibration. Scores of two editions do not compare; submit the job again for the second.");
  }
  return sentences;
}
