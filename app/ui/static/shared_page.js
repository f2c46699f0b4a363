// Page of a share link: one result, concept, image or study, read-only. The token is the fragment of the address, which is never sent in one.

import { get } from "./api.js";
import { byId, loadInto } from "./dom.js";
import { PageError } from "./errors.js";
import { escapeInvisible } from "./escaping.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatDay } from "./formatting.js";
import { describeJob } from "./job_formatting.js";
import { useToken } from "./share_access.js";

/** @import { Analysis, Child, ConceptProfile, Explanation, ScoreJob, Share, Study, StudyRow } from "../types.d.ts" */

/** @type {Record<Share["kind"], (share: Share) => Promise<Child>>} */
const VIEWS = {
  async result(share) {
    const { scoreResult } = await import("./score_result.js");
    return scoreResult(scoreJob(share));
  },
  async concept(share) {
    const { conceptSections } = await import("./concept_sections.js");
    /** @type {ConceptProfile} */
    const concept = await getFromWorker(share.links.concept);
    return conceptSections(concept, scoreJob(share));
  },
  async image(share) {
    const { sharedImage } = await import("./shared_image.js");
    /** @type {Explanation} */
    const explanation = await getFromWorker(share.links.explanation);
    return sharedImage(explanation);
  },
  async study(share) {
    const [{ resultsTable }, { analysisSections }, { defaultView }] = await Promise.all([
      import("./study_table.js"),
      import("./study_sections.js"),
      import("./sortable_table.js"),
    ]);
    const study = /** @type {Study} */ (/** @type {unknown} */ ({ name: share.title, grid: share.grid, links: share.links }));
    /** @type {[{data: StudyRow[]}, Analysis]} */
    const [{ data }, analysis] = await Promise.all([get(share.links.table), getFromWorker(share.links.analysis)]);
    return [resultsTable(study, data, defaultView()), analysisSections(analysis)];
  },
};

addEventListener("hashchange", () => location.reload());
await loadInto(byId("shared"), "Loading …", async () => {
  const token = location.hash.slice(1);
  if (!token) throw new PageError("This address is incomplete: its end, after #, is missing. Copy the whole link.");
  useToken(token);
  const id = location.pathname.split("/")[2];
  /** @type {Share} */
  const share = await get(`/v1/shares/${encodeURIComponent(decodeURIComponent(id))}`);
  const title = escapeInvisible(share.title);
  byId("shared-title").textContent = title;
  byId("shared-about").textContent = `${await about(share)} Shared read-only until ${formatDay(share.expires_at)}.`;
  document.title = `${title} · ${document.title}`;
  return VIEWS[share.kind](share);
});

/** @param {Share} share */
async function about(share) {
  if (share.grid) {
    const { describeGrid } = await import("./study_formatting.js");
    return `Study: ${describeGrid(share.grid)}.`;
  }
  return `${describeJob(scoreJob(share))} on ${escapeInvisible(share.score?.dataset_name ?? "a data set")}.`;
}

/**
 * The job of a result, concept or image, as far as a share link shows it.
 * @param {Share} share
 */
function scoreJob({ job, score, links }) {
  const fields = { kind: "score", id: job, state: "succeeded", ...score, links: { ...links, self: links.job } };
  return /** @type {ScoreJob} */ (/** @type {unknown} */ (fields));
}
