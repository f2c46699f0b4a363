// The question before a concept library is deleted.

import { escapeInvisible } from "./escaping.js";
import { describeLibrary } from "./job_formatting.js";

/** @import { ConceptLibrary } from "../types.d.ts" */

/** @param {ConceptLibrary} library */
export function deletionQuestion({ name, settings, job }) {
  const shown = escapeInvisible(name ?? describeLibrary(settings));
  return (
    `Delete the concept library ${shown}? The score of job ${job} stays. Its concepts, crops, explanations and predictors are deleted, ` +
    "and share links of its concepts and images."
  );
}
