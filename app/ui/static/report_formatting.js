// Sentences about a score report: IIS, random control, concept gain.

import { formatNumber, formatPercent, formatSigned, isMissing } from "./formatting.js";

/** @import { Report } from "../types.d.ts" */

/**
 * @param {Report} report
 * @returns {string[]}
 */
export function describeReport(report) {
  if (isMissing(report.iis)) {
    return ["No score: the representation's accuracy is no better than chance, so there is no accuracy for concepts to retain."];
  }
  const accuracy = formatPercent(report.accuracy_representation);
  const sentences = [
    `Averaged over all sparsities, a linear head on the kept concepts retains ${formatPercent(report.iis)} of the accuracy` +
      ` of a head on the whole representation (${accuracy}).`,
  ];
  if (!isMissing(report.iis_random_mean)) {
    sentences.push(`Control: the same number of random directions retains ${formatPercent(report.iis_random_mean)}.`);
  }
  if (!isMissing(report.concept_gain)) sentences.push(describeGain(report.concept_gain, report.concept_gain_low, report.concept_gain_high));
  return sentences;
}

/**
 * @param {number} gain
 * @param {number | null | undefined} low
 * @param {number | null | undefined} high
 */
function describeGain(gain, low, high) {
  const size = formatNumber(Math.abs(gain));
  if (isMissing(low) || isMissing(high)) return `The concepts retain ${size} ${gain >= 0 ? "more" : "less"} than random directions.`;
  if (low > 0) return `The concepts retain ${size} more; the 95 % interval excludes 0: better than random directions.`;
  if (high < 0) return `The concepts retain ${size} less; the 95 % interval excludes 0: worse than random directions.`;
  return `The difference is ${formatSigned(gain)}; the 95 % interval includes 0: not distinguishable from random directions.`;
}
