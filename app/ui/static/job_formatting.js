// Names of job states and libraries; descriptions of jobs and their progress.

import { formatDuration, formatInteger, isMissing } from "./formatting.js";

/** @import { Elements, Job, JobState, LibrarySpec, OverallProgress, Progress } from "../types.d.ts" */

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
 * Progress of the whole job: 62 % done, about 3 minutes left.
 * @param {OverallProgress} overall
 */
export function describeOverall({ share_done: share, eta_seconds: eta }) {
  const left = isMissing(eta) || eta < 1 ? "" : `, about ${formatDuration(eta)} left`;
  return `${percentDone(share)} % done${left}`;
}

/** @param {number} share */
const percentDone = (share) => Math.floor(100 * share);

/**
 * Position of a queued job among the waiting ones.
 * @param {number | null | undefined} position 1 for the next one
 */
export function describeQueue(position) {
  if (isMissing(position)) return "Waiting for a worker.";
  return position === 1 ? "Next in the queue." : `Number ${formatInteger(position)} in the queue.`;
}

/**
 * Title of the browser's tab while a job runs: the share that is done, of the job or else of its current stage, before the page's own title.
 * @param {string} title
 * @param {Progress} progress
 */
export function titleWithProgress(title, { done, total, overall }) {
  if (overall) return `${percentDone(overall.share_done)} % · ${title}`;
  return total > 0 ? `${Math.floor((100 * done) / total)} % · ${title}` : title;
}
