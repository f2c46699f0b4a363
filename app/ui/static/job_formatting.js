// Names of job states and libraries; descriptions of jobs and their progress.

import { formatDuration, formatInteger, isMissing } from "./formatting.js";

/** @import { Elements, Job, JobState, LibrarySpec, Progress } from "../types.d.ts" */

/** @type {readonly JobState[]} */
export const FINISHED_STATES = ["succeeded", "failed", "canceled"];

/** @type {Record<JobState, [symbol: string, name: string]>} */
const STATES = {
  queued: ["○", "queued"],
  running: ["◐", "running"],
  canceling: ["◐", "canceling"],
  succeeded: ["●", "succeeded"],
  failed: ["✕", "failed"],
  canceled: ["–", "canceled"],
};

/** @type {Record<string, string>} */
const LIBRARIES = {
  prototype: "prototypes",
  cluster: "clusters",
  end2end: "concepts trained end to end",
  nmf: "non-negative parts (NMF)",
  sae: "sparse autoencoder directions",
  vectors: "own vectors",
  text: "phrases",
  random: "random directions",
  combined: "combined libraries",
};

/** @param {JobState} state */
export const stateSymbol = (state) => (STATES[state] ?? ["·", state])[0];

/** @param {JobState} state */
export const stateName = (state) => (STATES[state] ?? ["·", state])[1];

/** @param {JobState} state */
export const isFinished = (state) => FINISHED_STATES.includes(state);

/** @param {string | null | undefined} kind */
const libraryName = (kind) => (kind ? (LIBRARIES[kind] ?? kind) : "concepts");

/**
 * @param {LibrarySpec} library
 * @returns {string}
 */
export function describeLibrary(library) {
  if (library.id) return "library of an earlier job";
  if (library.parts?.length) return library.parts.map((part) => `${part.concept_count} ${libraryName(part.kind)}`).join(" and ");
  const count = library.kind === "text" ? `up to ${library.concept_count}` : library.concept_count;
  return `${count} ${libraryName(library.kind)}`;
}

/**
 * @param {Elements} elements
 * @returns {string}
 */
export function describeElements({ kind, scales = [], images_per_class: images }) {
  const grids = scales.map((scale) => (scale === 1 ? "whole images" : `${scale} × ${scale} grid`));
  const crops = kind === "patches" ? grids : [...grids, "segments"];
  return crops.join(" + ") + (images ? ` of ${images} images per class` : "");
}

/**
 * The concepts of a score or fine-tuning job; the images of an explanation job.
 * @param {Job} job
 * @returns {string}
 */
export function describeJob(job) {
  if (job.kind === "explain") return job.split ? `explanations of the ${job.split} images` : "explanations of an archive";
  if (job.kind === "finetune") return `fine-tuned with ${describeLibrary(job.library)}, λ = ${job.lambda}`;
  return describeLibrary(job.library);
}

/**
 * Stage, count and remaining time.
 * @param {Progress} progress
 */
export function describeProgress({ title, done, total, eta_seconds: eta, tasks }) {
  const count = total > 1 ? `, ${formatInteger(done)} of ${formatInteger(total)}` : "";
  const workers = tasks && tasks.workers > 1 ? ` on ${formatInteger(tasks.workers)} workers` : "";
  return title + workers + count + (isMissing(eta) || eta < 1 ? "" : `, about ${formatDuration(eta)} left in this stage`);
}

/**
 * Title of the browser's tab while a job runs: the share of the current stage that is done, before the page's own title.
 * @param {string} title
 * @param {Progress} progress
 */
export const titleWithProgress = (title, { done, total }) => (total > 0 ? `${Math.floor((100 * done) / total)} % · ${title}` : title);
