// The list of studies, newest first, with how far each has come.

import { get } from "./api.js";
import { byId, el, empty, fill, problemView } from "./dom.js";
import { counted, when } from "./words.js";
import { gridWords, jobsWords, studyMark } from "./study_words.js";

const older = byId("older");
let next = null;

function row(study) {
  const { jobs } = study;
  const bar = el("progress", { max: jobs.total, value: jobs.succeeded + jobs.failed + jobs.canceled, "aria-label": `${study.name}: jobs that have ended` });
  return el(
    "li",
    { class: "job" },
    studyMark(study),
    el("div", { class: "job-what" }, el("a", { href: `/studies/${study.id}`, class: "job-name" }, study.name), el("p", { class: "job-about" }, gridWords(study.grid), " · ", el("time", { datetime: study.created_at }, when(study.created_at)))),
    el("div", { class: "job-outcome" }, study.state === "running" ? bar : null, el("p", { class: "help" }, jobsWords(jobs))),
  );
}

function add(page) {
  next = page.links.next ?? null;
  older.hidden = next === null;
  return page.data.map(row);
}

await fill(byId("studies"), "Reading your studies …", async () => {
  const rows = add(await get("/v1/studies?limit=20"));
  if (!rows.length) return empty("No studies yet", "A study is asked for with POST /v1/studies: models, data sets, libraries, numbers of concepts, seeds. Each combination becomes a job, and their results stand here as one table.");
  return el("ol", { class: "job-list", id: "study-list", "aria-label": counted(rows.length, "study", "studies") }, rows);
});

older.addEventListener("click", async () => {
  older.disabled = true;
  try {
    const rows = add(await get(next));
    byId("study-list").append(...rows);
    rows[0]?.querySelector("a").focus();
  } catch (error) {
    byId("studies").append(problemView(error));
  } finally {
    older.disabled = false;
  }
});
