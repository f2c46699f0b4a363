// Page of one concept.

import { conceptSections } from "./concept_sections.js";
import { byId, loadInto } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { loadJob, pathParts, unfinishedNotice } from "./job_heading.js";

/** @import { ConceptProfile } from "../types.d.ts" */

await loadInto(byId("concept"), "Loading the concept …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  const [, , index] = pathParts();
  /** @type {ConceptProfile} */
  const concept = await getFromWorker(`/v1/jobs/${job.id}/concepts/${encodeURIComponent(index)}`);
  return conceptSections(concept, job);
});
