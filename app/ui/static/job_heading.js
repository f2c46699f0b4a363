// Heading of every page about one job: title, description, state, links to the job's other pages.

import { get } from "./api.js";
import { byId, el } from "./dom.js";
import { describeJob, stateName, stateSymbol } from "./job_formatting.js";
import { showTools } from "./page_tools.js";
import { datasetName, modelName } from "./resource_names.js";
import { sharePanel } from "./share_panel.js";

/** @import { Job, JobState } from "../types.d.ts" */

const PAGES = [
  ["", "Result"],
  ["/concepts", "Concepts"],
  ["/images", "Images"],
  ["/classes", "Classes"],
];

/** The parts of the page's path below /jobs: /jobs/job_1/concepts/7 gives job_1, concepts, 7. */
export function pathParts() {
  const [, , ...parts] = location.pathname.split("/");
  return parts.map(decodeURIComponent);
}

/** @returns {Promise<Job>} */
export async function loadJob() {
  const [id, currentPage] = pathParts();
  /** @type {Job} */
  const job = await get(`/v1/jobs/${encodeURIComponent(id)}`);
  const title = modelName(job);
  byId("job-title").textContent = title;
  byId("job-about").textContent = jobSummary(job, datasetName(job));
  document.title = `${title} · ${document.title}`;
  showState(job);
  const current = currentPage ? `/${currentPage}` : "";
  const pages = job.kind === "score" ? PAGES : PAGES.slice(0, 1);
  const links = pages.map(([path, name]) => el("a", { href: `/jobs/${job.id}${path}`, "aria-current": path === current ? "page" : null }, name));
  byId("job-pages").replaceChildren(...links);
  showJobTools(job);
  return job;
}

/**
 * The API's answer, and share links of a result, concept or image.
 * @param {Job} job
 */
export function showJobTools(job) {
  showTools(jsonOf(job), job.kind === "score" && job.state === "succeeded" ? sharePanelOf(job) : null);
}

/**
 * Address of the API's answer that the page shows.
 * @param {Job} job
 */
function jsonOf(job) {
  const [, page, ...names] = pathParts();
  if (page) return [job.links[page === "images" ? "explanations" : page], ...names.map(encodeURIComponent)].join("/");
  return job.state === "succeeded" ? job.links.result : job.links.self;
}

/** @param {Job} job */
function sharePanelOf({ id }) {
  const [, page, name] = pathParts();
  if (page === "concepts" && name) return sharePanel("concept", () => ({ job: id, concept: Number(name) }));
  if (page === "images" && /^\d+$/.test(name ?? "")) return sharePanel("image", () => ({ job: id, image: Number(name), ...optionsOfImage() }));
  return page ? null : sharePanel("result", () => ({ job: id }));
}

/** The options of an explained image, which its page keeps in the address. */
function optionsOfImage() {
  const query = new URLSearchParams(location.search);
  const [kept, contrast] = [query.get("kept"), query.get("contrast")];
  return { ...(kept ? { kept: Number(kept) } : {}), ...(contrast ? { contrast } : {}) };
}

/**
 * @param {Job} job
 * @param {string} dataset
 */
function jobSummary(job, dataset) {
  if (job.kind === "explain") return describeJob(job);
  if (job.kind === "finetune") return `${describeJob(job)}, on ${dataset}`;
  return `${describeJob(job)} on ${dataset}${job.protocol === "reference" ? ", reference protocol" : ""}`;
}

/**
 * State of a job: symbol and name.
 * @param {JobState} state
 */
export const stateLabel = (state) => [el("span", { "aria-hidden": "true", class: "state-symbol" }, stateSymbol(state)), " ", stateName(state)];

/** @param {Job} job */
export function showState(job) {
  const node = byId("job-state");
  node.className = `job-state ${job.state}`;
  node.replaceChildren(...stateLabel(job.state));
}

/**
 * For pages that need a finished job: a notice if it has not succeeded, otherwise null.
 * @param {Job} job
 */
export function unfinishedNotice(job) {
  if (job.state === "succeeded") return null;
  const sentences = { failed: "This job failed; it has no result.", canceled: "This job was canceled; it has no result." };
  const sentence = job.state === "failed" || job.state === "canceled" ? sentences[job.state] : "This job has not finished yet.";
  return el("div", { class: "empty-state" }, el("p", {}, sentence), el("p", {}, el("a", { href: `/jobs/${job.id}` }, "Go to the job")));
}
