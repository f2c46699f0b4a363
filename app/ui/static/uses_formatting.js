// Sentences on what uses a model or data set, and the question before it is deleted.

import { formatCount } from "./formatting.js";

/** @import { Uses } from "../types.d.ts" */

/** @param {Uses} uses */
export function describeUses({ unfinished_jobs: unfinished, finished_jobs: finished, studies, concept_libraries: libraries }) {
  const counts = [
    unfinished ? formatCount(unfinished, "unfinished job") : "",
    finished ? formatCount(finished, "finished job") : "",
    studies ? formatCount(studies, "study", "studies") : "",
    libraries ? formatCount(libraries, "concept library", "concept libraries") : "",
  ].filter(Boolean);
  return counts.length ? `Used by ${counts.join(", ")}.` : "Not used.";
}

/**
 * @param {string} noun model or data set
 * @param {string} name
 * @param {Uses} uses
 */
export function deletionQuestion(noun, name, uses) {
  const kept = uses.finished_jobs ? " Finished jobs keep its name and all results." : "";
  return `Delete the ${noun} ${name}?\n\n${describeUses(uses)}${kept} New jobs cannot use it any more; this cannot be undone.`;
}

/**
 * @param {string} noun model or data set
 * @param {string} name
 * @param {Uses} uses
 */
export const deletionRefusal = (noun, name, uses) =>
  `The ${noun} ${name} cannot be deleted now: ${formatCount(uses.unfinished_jobs, "unfinished job")} of it; cancel or wait, then delete it.`;
