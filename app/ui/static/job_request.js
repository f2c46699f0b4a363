// The request that would submit a job again, from the job as the API shows it.

import { isMissing } from "./formatting.js";

/** @import { FinetuneJob, LibrarySpec, ScoreJob } from "../types.d.ts" */

const FINETUNE_FIELDS = [
  ...["sparsity", "lambda", "epochs", "optimizer", "learning_rate", "weight_decay", "batch_size", "accumulation_steps", "warmup_epochs"],
  ...["trains", "rebuild_every", "patience", "precision", "seeds", "seed"],
];

/**
 * The fields that are neither missing nor empty lists.
 * @param {Record<string, unknown>} fields
 * @returns {Record<string, unknown>}
 */
const present = (fields) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => !isMissing(value) && !(Array.isArray(value) && !value.length)));

/**
 * @param {ScoreJob | FinetuneJob} job
 * @param {string | null} [library] fitted by the job; requested instead of own vectors, whose upload is not kept
 * @returns {Record<string, unknown>}
 */
export function jobRequest(job, library = null) {
  const { kind, model, dataset, elements } = job;
  const common = { kind, model, dataset, library: libraryRequest(job.library, library), elements: model ? elements : undefined };
  if (job.kind === "finetune") {
    const fields = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (job));
    return present({ ...common, ...Object.fromEntries(FINETUNE_FIELDS.map((name) => [name, fields[name]])) });
  }
  const activations = job.protocol === "exact" ? job.activations : undefined;
  return present({
    ...common,
    library_dataset: job.library_dataset,
    vlm: job.vlm,
    vocabulary: vocabularyName(job.vocabulary),
    protocol: job.protocol,
    activations,
    seed: job.seed,
  });
}

/**
 * @param {LibrarySpec} library
 * @param {string | null} fitted
 */
function libraryRequest({ parts, ...library }, fitted) {
  if (library.kind === "vectors" && fitted) return { id: fitted };
  return present({ ...library, parts: parts?.map((part) => present({ ...part })) });
}

/** @param {ScoreJob["vocabulary"]} vocabulary */
export function vocabularyName(vocabulary) {
  if (!vocabulary || typeof vocabulary === "string") return vocabulary;
  return vocabulary.id.startsWith("cst_") ? `${vocabulary.id}@${vocabulary.version}` : vocabulary.id;
}
