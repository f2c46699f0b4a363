// What fine-tuning changed: in words, arm by arm, as paired differences, and the improved model to take away.

import { get } from "./api.js";
import { el, table } from "./dom.js";
import { TrainingView, armWords } from "./training.js";
import { counted, interval, missing, number, share, signed, when } from "./words.js";

const PAIRS = {
  treatment_minus_control: "Treatment minus control",
  treatment_minus_probe: "Treatment minus the network as it was",
  control_minus_probe: "Control minus the network as it was",
};
const MEASURES = { accuracy: "Accuracy", iis: "IIS", accuracy_trained: "Accuracy as trained" };
const measured = (result) => Object.entries(MEASURES).filter(([measure]) => !missing(result.differences[measure]));

export async function finetuned(job) {
  const result = await get(job.links.result);
  const made = await get(result.links.model).catch((error) => {
    if (error.status === 404) return null; // deleted since
    throw error;
  });
  const training = new TrainingView();
  for (const { arm, seed, epochs } of result.history) for (const epoch of epochs) training.take({ arm, seed, ...epoch });
  return [inWords(result), improved(result, made), arms(result), differences(result), warnings(result), training.node, downloads(job, result)].filter(Boolean);
}

function inWords(result) {
  const count = measured(result).length; // a sentence each for a pair of arms, treatment against control first
  const [first, others] = [result.words.slice(0, count), result.words.slice(count)];
  return el(
    "section",
    { "aria-labelledby": "outcome" },
    el("h2", { id: "outcome" }, "What the concepts' loss changed"),
    first.map((sentence) => el("p", { class: "outcome" }, sentence)),
    others.length ? el("details", {}, el("summary", {}, "Against the network as it was"), others.map((sentence) => el("p", {}, sentence))) : null,
  );
}

function improved(result, made) {
  if (made === null) return el("p", { class: "notice" }, "The model that this job made has been deleted.");
  const { seed, epoch, weight } = made.lineage;
  return el(
    "section",
    { class: "card", "aria-labelledby": "improved" },
    el("h2", { id: "improved" }, made.name),
    el("p", {}, `The run with seed ${seed} after epoch ${epoch}, of all with λ = ${weight} the best on validation images. It is a model like any other: `, el("code", {}, made.id), "."),
    el(
      "p",
      { class: "submit-line" },
      el("a", { class: "button primary", href: result.links.checkpoint, download: `${made.id}.safetensors` }, "Download the checkpoint"),
      el("a", { class: "button", href: `/submit?model=${made.id}` }, "Score it"),
    ),
  );
}

function arms(result) {
  const rows = [{ name: "The network as it was", report: result.probe }];
  for (const [index, run] of result.treatment.entries()) {
    rows.push({ name: armWords("treatment"), ...run }, { name: armWords("control"), ...result.control[index] });
  }
  const columns = [
    ["Network", (row) => row.name],
    ["Seed", (row) => row.seed ?? "", "number"],
    ["Best epoch", (row) => (missing(row.best_epoch) ? "" : `${row.best_epoch} of ${row.epochs}`), "number"],
    ["Accuracy", (row) => share(row.report.accuracy_representation), "number"],
    ["As trained", (row) => share(row.report.accuracy_trained), "number"],
    ["IIS", (row) => number(row.report.iis), "number"],
    ["95 % interval", (row) => interval(row.report.iis_low, row.report.iis_high), "number"],
  ];
  return el(
    "section",
    { "aria-labelledby": "arms" },
    el("h2", { id: "arms" }, "The three arms"),
    el("p", { class: "help" }, `Each network is scored on the test images, with its own concepts, in the same way, heads solved anew; as trained is its accuracy with the head that was trained. ${counted(result.treatment.length, "seed")}.`),
    table("Networks and their scores", columns, rows),
  );
}

function differences(result) {
  const rows = Object.entries(PAIRS).flatMap(([pair, words]) => measured(result).map(([measure, name]) => ({ name: `${words}, ${name}`, ...result.differences[measure][pair] })));
  const columns = [
    ["Difference", (row) => row.name],
    ["Mean", (row) => signed(row.mean, 4), "number"],
    ["95 % interval", (row) => (missing(row.low) ? "–" : `${signed(row.low, 4)} to ${signed(row.high, 4)}`), "number"],
    ["By seed", (row) => row.values.map((value) => signed(value, 4)).join(", "), "number"],
  ];
  return el(
    "section",
    { "aria-labelledby": "differences" },
    el("h2", { id: "differences" }, "Differences, paired by seed"),
    el("p", { class: "help" }, "The interval is over seeds. Only treatment minus control speaks of the concepts' loss; the rest is what any further training does."),
    table("Paired differences", columns, rows),
  );
}

function warnings(result) {
  if (!result.warnings.length) return null;
  const heading = result.warnings.length === 1 ? "Mind this" : "Mind these";
  return el("section", { class: "notice caution", "aria-labelledby": "warnings" }, el("h2", { id: "warnings" }, heading), el("ul", {}, result.warnings.map((text) => el("li", {}, text))));
}

function downloads(job, result) {
  return el(
    "section",
    { "aria-labelledby": "downloads" },
    el("h2", { id: "downloads" }, "To take away"),
    el("ul", { class: "downloads" }, el("li", {}, el("a", { href: result.links.self, download: `${job.id}.json` }, "Everything found, JSON"))),
    el("p", { class: "help" }, "Job ", el("code", {}, job.id), `, submitted ${when(job.created_at)}, finished ${when(job.succeeded_at)}.`),
  );
}
