// What stands above every page about one job: which job it is, its state, and the ways to its other pages.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { datasetName, modelName } from "./names.js";
import { jobWords, libraryWords, stateMark, stateWord } from "./words.js";

const PAGES = [
  ["", "Result"],
  ["/concepts", "Concepts"],
  ["/images", "Images"],
  ["/classes", "Classes"],
];

// The job's id and what follows it in the address of this page: /jobs/job_1/concepts/7 gives ["job_1", "concepts", "7"].
export function addressParts() {
  const [, , ...parts] = location.pathname.split("/");
  return parts.map(decodeURIComponent);
}

export async function readJob() {
  const [id, current] = addressParts();
  const job = await get(`/v1/jobs/${encodeURIComponent(id)}`);
  const [model, dataset] = await Promise.all([modelName(job), datasetName(job)]);
  byId("job-title").textContent = model;
  byId("job-about").textContent = job.kind === "explain" ? jobWords(job) : job.kind === "finetune" ? `${jobWords(job)}, on ${dataset}` : `on ${dataset}, through ${libraryWords(job.library)}${job.protocol === "reference" ? ", reference protocol" : ""}`;
  document.title = `${model} · ${document.title}`;
  showState(job);
  const here = current ? `/${current}` : "";
  const pages = job.kind === "score" ? PAGES : PAGES.slice(0, 1);
  const links = pages.map(([path, words]) => el("a", { href: `/jobs/${job.id}${path}`, "aria-current": path === here ? "page" : null }, words));
  byId("job-pages").replaceChildren(...links);
  return { job, model, dataset };
}

export function showState(job) {
  const state = byId("job-state");
  state.className = `job-state ${job.state}`;
  state.replaceChildren(el("span", { "aria-hidden": "true", class: "state-mark" }, stateMark(job.state)), " ", stateWord(job.state));
}

// For pages that need a finished job: the sentence why there is nothing to see, or null.
export function notYet(job) {
  if (job.state === "succeeded") return null;
  const why = {
    failed: "This job failed, so there is nothing to show here.",
    canceled: "This job was canceled, so there is nothing to show here.",
  };
  const sentence = why[job.state] ?? "This job has not finished yet; what it finds will stand here.";
  return el("div", { class: "empty" }, el("p", {}, sentence), el("p", {}, el("a", { href: `/jobs/${job.id}` }, "To the job")));
}
