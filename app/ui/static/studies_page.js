// Page with the list of studies, newest first.

import { get } from "./api.js";
import { buttonById, byId, el, emptyState, loadInto } from "./dom.js";
import { formatCount, formatTime } from "./formatting.js";
import { installOlder } from "./older_rows.js";
import { showTools } from "./page_tools.js";
import { countEnded, describeGrid, describeJobCounts, studyStateLabel } from "./study_formatting.js";

/** @import { Page, Study } from "../types.d.ts" */

const older = buttonById("older");
/** @type {string | null} */
let next = null;

/** @param {Study} study */
function studyRow(study) {
  const { jobs } = study;
  const bar = el("progress", { max: jobs.total, value: countEnded(jobs), "aria-label": `${study.name}: finished jobs` });
  const time = el("time", { datetime: study.created_at }, formatTime(study.created_at));
  const link = el("a", { href: `/studies/${study.id}`, class: "job-name" }, study.name);
  const about = el("p", { class: "job-about" }, describeGrid(study.grid), " · ", time);
  const progress = study.state === "running" ? bar : null;
  return el(
    "li",
    { class: "job" },
    studyStateLabel(study),
    el("div", { class: "job-description" }, link, about),
    el("div", { class: "job-outcome" }, progress, el("p", { class: "help" }, describeJobCounts(jobs))),
  );
}

/** @param {Page<Study>} page */
function pageRows(page) {
  next = page.links.next ?? null;
  older.hidden = next === null;
  return page.data.map(studyRow);
}

showTools("/v1/studies?limit=20");
await loadInto(byId("studies"), "Loading your studies …", async () => {
  const rows = pageRows(await get("/v1/studies?limit=20"));
  if (!rows.length) {
    return emptyState(
      "No studies yet",
      "Create a study with POST /v1/studies. Each combination of models, data sets, libraries, concept counts and seeds becomes a job.",
      "The results appear here as one table.",
    );
  }
  return el("ol", { class: "job-list", id: "study-list", "aria-label": formatCount(rows.length, "study", "studies") }, rows);
});

installOlder(older, byId("studies"), "study-list", async () => (next === null ? null : pageRows(await get(next))));
