// Descriptions of studies: grid, job counts, state, settings, estimates.

import { el } from "./dom.js";
import { formatCount, formatInteger, formatInterval, formatNumber, isMissing } from "./formatting.js";

/** @import { Estimate, JobCounts, Measurement, Setting, Study, StudyGrid } from "../types.d.ts" */

/**
 * The grid's dimensions: 3 models × 1 data set × 2 libraries.
 * @param {StudyGrid} grid
 */
export function describeGrid(grid) {
  const dimensions = grid.models.length
    ? [formatCount(grid.models.length, grid.evolution ? "checkpoint" : "model"), formatCount(grid.datasets.length, "data set")]
    : [formatCount(grid.datasets.length, "representation")];
  dimensions.push(formatCount(grid.libraries.length, "library", "libraries"));
  if (grid.concept_counts && grid.concept_counts.length > 1) dimensions.push(formatCount(grid.concept_counts.length, "concept count"));
  if (grid.seeds.length > 1) dimensions.push(formatCount(grid.seeds.length, "seed"));
  return dimensions.join(" × ");
}

/** @param {JobCounts} jobs */
export function describeJobCounts(jobs) {
  const parts = [`${formatCount(jobs.succeeded, "job")} of ${formatInteger(jobs.total)} finished`];
  /** @type {[number, string][]} */
  const others = [
    [jobs.running + jobs.canceling, "running"],
    [jobs.queued, "queued"],
    [jobs.failed, "failed"],
    [jobs.canceled, "canceled"],
  ];
  for (const [count, state] of others) if (count) parts.push(`${formatInteger(count)} ${state}`);
  return parts.join(", ");
}

/** @param {JobCounts} jobs */
export const countEnded = (jobs) => jobs.succeeded + jobs.failed + jobs.canceled;

/** @param {Study} study */
export function studyStateLabel(study) {
  const running = study.state === "running";
  const state = running ? "running" : study.jobs.failed || study.jobs.canceled ? "partial" : "succeeded";
  const symbol = el("span", { "aria-hidden": "true", class: "state-symbol" }, running ? "◐" : "●");
  return el("p", { class: `job-state ${state}` }, symbol, " ", running ? "running" : "finished");
}

/**
 * Data set, library, M, the library's data set and the edition, which compared models share.
 * @param {Setting} setting
 */
export function describeSetting(setting) {
  const library = setting.library ? `, ${setting.library}` : "";
  const count = isMissing(setting.concept_count) ? "" : `, ${setting.concept_count} concepts`;
  const origin = setting.library_dataset ? `, library from ${setting.library_dataset_name}` : "";
  return `${setting.dataset_name}${library}${count}${origin}${isMissing(setting.edition) ? "" : `, edition ${setting.edition}`}`;
}

/**
 * A statistic with its interval: 0.72 (0.31 to 0.93); – where it is undefined.
 * @param {Estimate | null | undefined} estimate
 */
export function formatEstimate(estimate) {
  if (!estimate || isMissing(estimate.value)) return "–";
  const { value, low, high } = estimate;
  return `${formatNumber(value, 2)}${isMissing(low) ? "" : ` (${formatNumber(low, 2)} to ${formatNumber(high, 2)})`}`;
}

/** @param {Measurement | null | undefined} measurement */
export const formatMeasurement = (measurement) =>
  measurement ? `${formatNumber(measurement.value)} (${formatInterval(measurement.low, measurement.high)})` : "–";

/**
 * Stretches of checkpoints near chance, each reaching half way to the neighbours on either side.
 * @param {{epoch: number, near_chance: boolean}[]} points
 * @returns {[start: number, end: number][]}
 */
export function nearChanceRanges(points) {
  /**
   * @param {number} index
   * @param {-1 | 1} side
   */
  const edge = (index, side) => {
    const neighbour = points[index + side];
    return neighbour ? (points[index].epoch + neighbour.epoch) / 2 : points[index].epoch;
  };
  return points.flatMap((point, index) => (point.near_chance ? [[edge(index, -1), edge(index, 1)]] : []));
}
