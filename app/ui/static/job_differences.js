// Sentences on the settings in which compared score jobs differ.

import { describeElements } from "./job_formatting.js";

/** @import { Report, ScoreJob } from "../types.d.ts" */

/** @typedef {{job: ScoreJob, report: Report}} ScoredJob */

/** @type {[name: string, valueOf: (item: ScoredJob) => unknown][]} */
const SETTINGS = [
  ["data set", ({ job }) => job.dataset],
  ["kind of library", ({ job }) => job.library.kind ?? job.library.id],
  ["number of concepts", ({ job, report }) => report.library?.concept_count ?? job.library.concept_count],
  ["crops", ({ report }) => report.library?.elements && describeElements(report.library.elements)],
  ["protocol", ({ job }) => job.protocol],
];

/**
 * @param {ScoredJob[]} jobs
 * @returns {string[]}
 */
export function describeDifferences(jobs) {
  const sentences = [];
  if (new Set(jobs.map(({ report }) => report.edition ?? 1)).size > 1) {
    sentences.push("These jobs have different editions of the activations, whose scores do not compare; the table below lists them.");
  }
  if (new Set(jobs.map(({ report }) => report.quantity ?? "accuracy")).size > 1) {
    sentences.push("These jobs retain different quantities, accuracy and mean average precision; their scores do not compare.");
  }
  const different = SETTINGS.filter(([, valueOf]) => new Set(jobs.map(valueOf)).size > 1).map(([name]) => name);
  if (different.length) {
    sentences.push(`These jobs differ in ${different.join(", ")}. IIS depends on these settings; compare the scores with care.`);
  }
  return sentences;
}
