// Page of a model or data set: heading, name, tags and notes to edit, its jobs with their scores, deletion. Each page adds its own sections.

import { get } from "./api.js";
import { descriptionForm } from "./description_form.js";
import { byId, el, errorNotice, loadInto, section, table } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { capitalise, formatNumber, formatPercent, formatSigned, formatTime } from "./formatting.js";
import { describeJob, stateName } from "./job_formatting.js";
import { showTools } from "./page_tools.js";
import { commonQuantityName, describeVerdict, quantityName } from "./report_formatting.js";
import { deleteResource } from "./resource_deletion.js";
import { checkState } from "./resource_list.js";
import { datasetName, modelName } from "./resource_names.js";
import { describeUses } from "./uses_formatting.js";

/** @import { Child, Column, Dataset, Job, Model, Page, Uses } from "../types.d.ts" */

const MAX_JOBS = 100;

/**
 * @template {Model | Dataset} Item
 * @param {object} page
 * @param {"model" | "data set"} page.noun
 * @param {string} page.path of the list
 * @param {"model" | "dataset"} page.parameter of the list of jobs
 * @param {(item: Item) => Child} page.sections
 */
export async function showResource({ noun, path, parameter, sections }) {
  const id = location.pathname.split("/")[2];
  await loadInto(byId("resource"), `Loading the ${noun} …`, async () => {
    /** @type {[Item, Uses, Page<Job>]} */
    const [item, uses, jobs] = await Promise.all([
      get(`/v1${path}/${id}`),
      get(`/v1${path}/${id}/uses`),
      get(`/v1/jobs?${parameter}=${encodeURIComponent(id)}&limit=${MAX_JOBS}`),
    ]);
    const name = escapeInvisible(item.name);
    byId("resource-title").textContent = name;
    showTools(item.links.self);
    document.title = `${name} · ${document.title}`;
    byId("resource-state").replaceChildren(checkState(item.state));
    return [
      item.error ? el("p", { class: "notice error" }, item.error.message) : null,
      descriptionForm(noun, item, (name) => (byId("resource-title").textContent = escapeInvisible(name ?? ""))),
      sections(item),
      jobsSection(jobs, uses, parameter),
      deletionSection(noun, path, item),
    ];
  });
}

/**
 * @param {Page<Job>} jobs
 * @param {Uses} uses
 * @param {"model" | "dataset"} parameter
 */
function jobsSection(jobs, uses, parameter) {
  /** @param {Job} job */
  const summary = (job) => (job.kind === "score" ? job.summary : null);
  /** @param {Job} job */
  const other = (job) => (parameter === "model" ? datasetName(job) : modelName(job));
  /** @param {Job} job */
  function verdict(job) {
    const code = summary(job)?.verdict;
    if (!code) return stateName(job.state);
    const { symbol, title } = describeVerdict({ code });
    return [el("span", { "aria-hidden": "true" }, `${symbol} `), title];
  }
  const quantity = commonQuantityName(jobs.data.flatMap((job) => summary(job) ?? [])) || "accuracy";
  /** @type {Column<Job>} */
  const retained = ["Retained", (job) => (summary(job) ? quantityName(summary(job) ?? {}) : "–")];
  /** @type {Column<Job>[]} */
  const columns = [
    ["Job", (job) => el("a", { href: `/jobs/${job.id}` }, job.name ?? describeJob(job))],
    [parameter === "model" ? "Data set" : "Model", other],
    ["Verdict or state", verdict],
    [capitalise(quantity), (job) => formatPercent(summary(job)?.accuracy), "number"],
    ...(quantity.includes(" or ") ? [retained] : []),
    ["Few concepts", (job) => formatPercent(summary(job)?.few_concepts_mean), "number"],
    ["IIS", (job) => formatNumber(summary(job)?.iis), "number"],
    ["Gain", (job) => formatSigned(summary(job)?.gain_matched), "number"],
    ["Created", (job) => formatTime(job.created_at)],
  ];
  const newest = jobs.links.next ? [el("p", { class: "help" }, `The newest ${MAX_JOBS} are shown.`)] : [];
  return section(
    "jobs",
    "Jobs and scores",
    el("p", {}, describeUses(uses)),
    jobs.data.length ? [table("Jobs and their scores", columns, jobs.data), ...newest] : null,
  );
}

/**
 * @param {"model" | "data set"} noun
 * @param {string} path
 * @param {Model | Dataset} item
 */
function deletionSection(noun, path, item) {
  const problem = el("div");
  const button = el("button", { type: "button" }, `Delete this ${noun}`);
  button.addEventListener("click", async () => {
    problem.replaceChildren();
    try {
      if (await deleteResource(noun, item)) location.assign(path);
    } catch (error) {
      problem.replaceChildren(errorNotice(error));
    }
  });
  return el("section", { "aria-label": "Deletion" }, el("p", {}, button), problem);
}
