// Names of job states, stages and libraries; descriptions of jobs and their progress.

import { formatDuration, formatInteger, isMissing } from "./formatting.js";

/** @import { Job, JobState, LibrarySpec, Progress } from "../types.d.ts" */

/** @type {readonly JobState[]} */
export const FINISHED_STATES = ["succeeded", "failed", "canceled"];

/** @type {Record<JobState, [symbol: string, name: string]>} */
const STATES = {
  queued: ["○", "queued"],
  running: ["◐", "running"],
  canceling: ["◐", "canceling"],
  succeeded: ["●", "finished"],
  failed: ["✕", "failed"],
  canceled: ["–", "canceled"],
};

/** @type {Record<string, string>} */
const STAGES = {
  materialise: "Fetching checkpoint and images",
  extract: "Extracting features",
  embed_images: "Embedding images with the vision-language model",
  embed_phrases: "Embedding phrases",
  embed_classes: "Embedding class names",
  libraries: "Fitting the concept library",
  name: "Naming concepts",
  control: "Scoring random directions",
  heads: "Fitting heads at every sparsity",
  curve: "Computing the ARR curve",
  explain: "Finding images that show each concept",
  report: "Writing the report",
  finetune: "Training",
  evaluate: "Scoring the trained models",
  compare: "Comparing the arms",
};

/** @type {Record<string, string>} */
const LIBRARIES = {
  prototype: "prototypes",
  cluster: "clusters",
  end2end: "concepts trained end to end",
  nmf: "non-negative parts (NMF)",
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

/**
 * @param {string} stage
 * @param {string | null} [part]
 */
export const stageName = (stage, part) => (STAGES[stage] ?? stage.replaceAll("_", " ")) + (part ? `: ${part}` : "");

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
export function describeProgress({ stage, part, done, total, eta_seconds: eta }) {
  const count = total > 1 ? `, ${formatInteger(done)} of ${formatInteger(total)}` : "";
  return stageName(stage, part) + count + (isMissing(eta) || eta < 1 ? "" : `, about ${formatDuration(eta)} left in this stage`);
}
