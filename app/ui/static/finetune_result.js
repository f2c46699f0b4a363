// Result of a fine-tuning job: effect of the concept loss, the improved model, runs by arm, paired differences, training curves.

import { get } from "./api.js";
import { downloadItem, downloadList, el, section, table } from "./dom.js";
import { asPageError } from "./errors.js";
import { formatCount, formatInterval, formatNumber, formatPercent, formatSigned, formatTime, isMissing } from "./formatting.js";
import { TrainingView, armLabel } from "./training.js";
import { warningsNotice } from "./warnings.js";

/** @import { ArmPair, Column, Difference, FinetuneJob, FinetuneResult, Measure, Model, Report } from "../types.d.ts" */

/** @type {[ArmPair, string][]} */
const PAIRS = [
  ["treatment_minus_control", "Treatment minus control"],
  ["treatment_minus_probe", "Treatment minus original model"],
  ["control_minus_probe", "Control minus original model"],
];

/** @type {[Measure, string][]} */
const MEASURES = [
  ["accuracy", "Accuracy"],
  ["iis", "IIS"],
  ["accuracy_trained", "Accuracy, trained head"],
];

/**
 * The measures that the result has: older results lack the accuracy of the trained head.
 * @param {FinetuneResult} result
 */
function measuresOf({ differences }) {
  return MEASURES.flatMap(([measure, name]) => {
    const pairs = differences[measure];
    return pairs ? [{ name, pairs }] : [];
  });
}

/** @param {FinetuneJob} job */
export async function finetuneResult(job) {
  /** @type {FinetuneResult} */
  const result = await get(job.links.result);
  const model = await loadModel(result.links.model);
  const training = new TrainingView();
  for (const { arm, seed, epochs } of result.history) for (const epoch of epochs) training.add({ arm, seed, ...epoch });
  return [
    effect(result),
    improvedModel(result, model),
    runs(result),
    differences(result),
    warningsNotice(result.warnings),
    training.node,
    downloads(job, result),
  ];
}

/**
 * The model that the job made; null if it was deleted.
 * @param {string} path
 * @returns {Promise<Model | null>}
 */
async function loadModel(path) {
  try {
    return await get(path);
  } catch (error) {
    if (asPageError(error).status === 404) return null;
    throw error;
  }
}

/** @param {FinetuneResult} result */
function effect(result) {
  const count = measuresOf(result).length; // one sentence per measure and pair of arms; treatment minus control first
  const [first, others] = [result.words.slice(0, count), result.words.slice(count)];
  const details = el("details", {}, el("summary", {}, "Compared with the original model"), others.map((sentence) => el("p", {}, sentence)));
  return section("effect", "Effect of the concept loss", first.map((sentence) => el("p", { class: "outcome" }, sentence)), others.length ? details : null);
}

/**
 * @param {FinetuneResult} result
 * @param {Model | null} model
 */
function improvedModel(result, model) {
  if (!model) return el("p", { class: "notice" }, "The fine-tuned model was deleted.");
  const choice = model.lineage
    ? `Seed ${model.lineage.seed}, epoch ${model.lineage.epoch}: the best validation accuracy of all runs with λ = ${model.lineage.weight}. `
    : "";
  return el(
    "section",
    { class: "card", "aria-labelledby": "improved" },
    el("h2", { id: "improved" }, model.name),
    el("p", {}, choice, "Model ", el("code", {}, model.id), "."),
    el(
      "p",
      { class: "actions" },
      el("a", { class: "button primary", href: result.links.checkpoint, download: `${model.id}.safetensors` }, "Download checkpoint"),
      el("a", { class: "button", href: `/submit?model=${model.id}` }, "Score this model"),
    ),
  );
}

/** @param {FinetuneResult} result */
function runs(result) {
  /** @type {{name: string, report: Report, seed?: number, best_epoch?: number, epochs?: number}[]} */
  const rows = [{ name: "Original model", report: result.probe }];
  for (const [index, run] of result.treatment.entries()) {
    rows.push({ name: armLabel("treatment"), ...run }, { name: armLabel("control"), ...result.control[index] });
  }
  /** @type {Column<typeof rows[number]>[]} */
  const columns = [
    ["Model", (row) => row.name],
    ["Seed", (row) => row.seed ?? "", "number"],
    ["Best epoch", (row) => (isMissing(row.best_epoch) ? "" : `${row.best_epoch} of ${row.epochs}`), "number"],
    ["Accuracy", (row) => formatPercent(row.report.accuracy_representation), "number"],
    ["Accuracy, trained head", (row) => formatPercent(row.report.accuracy_trained), "number"],
    ["IIS", (row) => formatNumber(row.report.iis), "number"],
    ["95 % interval", (row) => formatInterval(row.report.iis_low, row.report.iis_high), "number"],
  ];
  const help =
    "Each model is scored on the test images with its own concepts and newly fitted heads; “trained head” is the accuracy with the head from training. " +
    `${formatCount(result.treatment.length, "seed")}.`;
  return section("runs", "Runs by arm", el("p", { class: "help" }, help), table("Scores of all runs", columns, rows));
}

/** @param {FinetuneResult} result */
function differences(result) {
  const measures = measuresOf(result);
  /** @type {(Difference & {name: string})[]} */
  const rows = PAIRS.flatMap(([pair, label]) => measures.map(({ name, pairs }) => ({ name: `${label}, ${name}`, ...pairs[pair] })));
  /** @type {Column<typeof rows[number]>[]} */
  const columns = [
    ["Difference", (row) => row.name],
    ["Mean", (row) => formatSigned(row.mean, 4), "number"],
    ["95 % interval", (row) => (isMissing(row.low) ? "–" : `${formatSigned(row.low, 4)} to ${formatSigned(row.high, 4)}`), "number"],
    ["By seed", (row) => row.values.map((value) => formatSigned(value, 4)).join(", "), "number"],
  ];
  const help =
    "Intervals are over seeds. Only treatment minus control measures the concept loss; the other differences include the effect of further training.";
  return section("differences", "Differences paired by seed", el("p", { class: "help" }, help), table("Paired differences", columns, rows));
}

/**
 * @param {FinetuneJob} job
 * @param {FinetuneResult} result
 */
function downloads(job, result) {
  return section(
    "downloads",
    "Downloads",
    downloadList(downloadItem(result.links.self, "Full result, JSON", `${job.id}.json`)),
    el("p", { class: "help" }, "Job ", el("code", {}, job.id), `, submitted ${formatTime(job.created_at)}, finished ${formatTime(job.succeeded_at)}.`),
  );
}
