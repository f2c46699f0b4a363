// Fill the submit form from an earlier job; keep its settings that the form does not show.

import { el, inputById, selectById } from "./dom.js";
import { describeLibrary } from "./job_formatting.js";
import { jobRequest, vocabularyName } from "./job_request.js";
import { isMissing } from "./formatting.js";

/** @import { Elements, FinetuneJob, ScoreJob } from "../types.d.ts" */

/** Value of the library's select for a library that the form cannot describe: combined, or fitted by an earlier job. */
export const EARLIER_LIBRARY = "earlier";

const SETTINGS = ["library_dataset", "activations", "seed"];
const TEXT_SETTINGS = ["clip_cutoff", "interpretability_cutoff", "native"];
/** @type {Record<string, string>} fields of a fine-tuning request by id of the input */
const TRAINING = {
  ...{ lambda: "lambda", epochs: "epochs", "learning-rate": "learning_rate", trains: "trains", sparsity: "sparsity" },
  ...{ "rebuild-every": "rebuild_every", patience: "patience", "warmup-epochs": "warmup_epochs", "batch-size": "batch_size" },
  ...{ "accumulation-steps": "accumulation_steps", optimizer: "optimizer", "weight-decay": "weight_decay", precision: "precision" },
};

/**
 * Settings of an earlier job beside the form.
 * @typedef {object} EarlierSettings
 * @property {Record<string, unknown>} settings of the job's request
 * @property {Record<string, unknown>} elements
 * @property {Record<string, unknown>} text of a text library
 * @property {Record<string, unknown> | null} library where the form cannot describe it
 * @property {boolean} cutFromImages whether that library is made of crops
 */

/**
 * @param {HTMLFormElement} form
 * @param {ScoreJob | FinetuneJob} job
 * @param {string | null} fitted library of the job's result
 * @returns {EarlierSettings}
 */
export function fillFromJob(form, job, fitted) {
  const request = jobRequest(job, fitted);
  const library = /** @type {Record<string, unknown>} */ (request.library);
  check(form, "task", job.kind);
  setResource(form, "dataset", job.dataset);
  if (job.model) setResource(form, "model", job.model);
  const parts = /** @type {{kind: string}[] | undefined} */ (library.parts);
  const beyondForm = Boolean(library.id || parts);
  if (beyondForm) {
    selectById("kind").append(el("option", { value: EARLIER_LIBRARY }, `as before: ${describeLibrary(job.library)}`));
    selectById("kind").value = EARLIER_LIBRARY;
  } else {
    selectById("kind").value = String(library.kind);
    inputById("count").value = String(library.concept_count ?? "");
  }
  if (job.elements) setElements(job.elements);
  if (job.kind === "score") {
    selectById("protocol").value = job.protocol;
    selectById("vlm").value = job.vlm ?? "";
    setOption("vocabulary", vocabularyName(job.vocabulary) ?? "");
  } else {
    for (const [id, name] of Object.entries(TRAINING)) if (!isMissing(request[name])) inputById(id).value = String(request[name]);
    if (Array.isArray(request.seeds)) inputById("seeds").value = request.seeds.join(", ");
  }
  return {
    settings: job.kind === "score" ? pick(request, SETTINGS) : {},
    elements: job.elements ? pick(/** @type {Record<string, unknown>} */ ({ ...job.elements }), ["seed"]) : {},
    text: pick(library, TEXT_SETTINGS),
    library: beyondForm ? library : null,
    cutFromImages: Boolean(parts?.some((part) => part.kind !== "text" && part.kind !== "random")),
  };
}

/**
 * The notice over the filled form: its origin, and the settings that are kept although the form does not show them.
 * @param {ScoreJob | FinetuneJob} job
 * @param {EarlierSettings} earlier
 */
export function earlierNotice(job, { settings }) {
  const kept = Object.entries(settings).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  const link = el("a", { href: `/jobs/${job.id}` }, "an earlier job");
  const also = kept.length ? ` Also kept: ${kept.join(", ")}.` : "";
  return el("p", { class: "notice" }, "Filled in from ", link, `. Change what you want and submit.${also}`);
}

/**
 * @param {Record<string, unknown>} fields
 * @param {string[]} names
 */
function pick(fields, names) {
  return Object.fromEntries(names.filter((name) => !isMissing(fields[name])).map((name) => [name, fields[name]]));
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 * @param {string} value
 */
function check(form, name, value) {
  const choice = form.querySelector(`[name="${name}"][value="${value}"]`);
  if (choice instanceof HTMLInputElement) choice.checked = true;
}

/**
 * @param {HTMLFormElement} form
 * @param {"dataset" | "model"} name
 * @param {string} id
 */
function setResource(form, name, id) {
  const select = selectById(name);
  select.value = id;
  if (select.value === id) check(form, `${name}-source`, "existing"); // it may have been deleted
}

/**
 * Select an option; add it where it is missing, as a version of a vocabulary is.
 * @param {string} id
 * @param {string} value
 */
function setOption(id, value) {
  const select = selectById(id);
  select.value = value;
  if (select.value !== value) {
    select.append(el("option", { value }, value));
    select.value = value;
  }
}

/** @param {Elements} elements */
function setElements({ kind, scales = [], images_per_class: images }) {
  /** @type {NodeListOf<HTMLInputElement>} */
  const boxes = document.querySelectorAll('[name="scale"]');
  for (const box of boxes) box.checked = kind !== "segments" && scales.includes(Number(box.value));
  const known = [...boxes].map((box) => Number(box.value));
  for (const scale of kind === "segments" ? [] : scales.filter((one) => !known.includes(one))) {
    const box = el("input", { type: "checkbox", name: "scale", value: scale, checked: true });
    boxes[0].closest(".radio-group")?.append(el("label", {}, box, ` ${scale} × ${scale} grid`));
  }
  inputById("segments").checked = kind !== "patches";
  inputById("per-class").value = String(images ?? "");
}
