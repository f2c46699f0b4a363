// Page with the form that submits a score or fine-tuning job.

import { get, getAll, post } from "./api.js";
import { buttonById, byId, el, inputById, selectById } from "./dom.js";
import { installEstimate } from "./cost_estimate.js";
import { EARLIER_LIBRARY, earlierNotice, fillFromJob } from "./earlier_job.js";
import { asPageError } from "./errors.js";
import { FormProblem, clearProblems, showProblems, toFormProblem } from "./field_problems.js";
import { FileField } from "./file_field.js";
import { allOrProblems, register, uploadOf } from "./form_resources.js";
import { filledFields, parseArguments, parseNames, parseNumber, parseNumbers } from "./form_values.js";

/** @import { ConceptSet, Dataset, Job, Model, ScoreResult, Study } from "../types.d.ts" */
/** @import { EarlierSettings } from "./earlier_job.js" */
/** @import { ResourceName } from "./form_resources.js" */

const VISUAL_KINDS = new Set(["prototype", "cluster", "end2end", "nmf", "sae"]);
const NEW_MODEL = "new"; // name of a model without an id in an estimate
const FIXED_KINDS = ["text", "vectors", "nmf", "sae"];

const form = /** @type {HTMLFormElement} */ (byId("submit"));
const files = { dataset: new FileField(inputById("dataset-file")), model: new FileField(inputById("model-file")) };
const manifest = new FileField(inputById("manifest-file"));
const vectors = new FileField(inputById("vectors-file"));

/** @type {EarlierSettings} */
let earlier = { settings: {}, elements: {}, text: {}, library: null, cutFromImages: false };

/** @param {string} name of radio buttons */
const choice = (name) => /** @type {RadioNodeList} */ (form.elements.namedItem(name)).value;

/** @param {string} id of an input, select or text area */
const value = (id) => inputById(id).value.trim();

/** @param {string} id */
const numberValue = (id) => parseNumber(value(id));

const isFinetuning = () => choice("task") === "finetune";

function isFeatures() {
  if (choice("dataset-source") === "new") return value("dataset-kind") === "features";
  return selectById("dataset").selectedOptions[0]?.dataset.kind === "features";
}

const isVisual = () => (value("kind") === EARLIER_LIBRARY ? earlier.cutFromImages : VISUAL_KINDS.has(value("kind"))) && !isFeatures();

/**
 * @param {string} name
 * @param {boolean} visible
 */
function setPartVisible(name, visible) {
  /** @type {NodeListOf<HTMLElement>} */
  const parts = form.querySelectorAll(`[data-part="${name}"]`);
  for (const part of parts) part.hidden = !visible;
}

/** Show the fields that apply to the current choices. */
function updateVisibility() {
  for (const name of ["dataset", "model"]) {
    for (const source of ["new", "existing"]) setPartVisible(`${name}-${source}`, choice(`${name}-source`) === source);
  }
  setPartVisible("finetune", isFinetuning());
  setPartVisible("score", !isFinetuning());
  for (const kind of FIXED_KINDS) {
    const option = /** @type {HTMLOptionElement} */ (byId("kind").querySelector(`[value="${kind}"]`));
    option.disabled = isFinetuning(); // such a library cannot follow a model that changes
    if (option.disabled && option.selected) selectById("kind").value = "cluster";
  }
  byId("model-step").hidden = isFeatures() && !isFinetuning();
  const kind = value("kind");
  setPartVisible("vocabulary", kind !== "random" && kind !== "vectors" && !isFeatures() && !isFinetuning());
  setPartVisible("vectors", kind === "vectors");
  setPartVisible("count", kind !== "vectors" && kind !== EARLIER_LIBRARY);
  setPartVisible("images", !isFeatures());
  setPartVisible("crops", isVisual());
  byId("vlm-help").textContent = kind === "text" ? "Measures which phrases the images show." : "Names the concepts; optional.";
}

/** Fill the selects with existing models, data sets and concept sets; select those of the page's address. */
async function loadOptions() {
  const [models, datasets, shippedSets, ownSets] = await Promise.all([
    /** @type {Promise<Model[]>} */ (getAll("/v1/models?limit=100")),
    /** @type {Promise<Dataset[]>} */ (getAll("/v1/datasets?limit=100")),
    /** @type {Promise<ConceptSet[]>} */ (getAll("/v1/concept-sets/shipped")),
    /** @type {Promise<ConceptSet[]>} */ (getAll("/v1/concept-sets?limit=100")),
  ]);
  const readyModels = models.filter((model) => model.state === "ready");
  const backbones = readyModels.filter((model) => model.role === "backbone");
  const readyDatasets = datasets.filter((dataset) => dataset.state === "ready");
  setOptions("model", backbones, (model) => `${model.name} (${model.architecture})`, backbones.length ? null : "no model is ready yet");
  setOptions("dataset", readyDatasets, (dataset) => dataset.name, readyDatasets.length ? null : "no data set is ready yet");
  setOptions("vlm", readyModels.filter((model) => model.role === "vlm"), (model) => model.name, "none");
  setOptions("vocabulary", [...ownSets, ...shippedSets], (set) => (set.origin === "shipped" ? set.id : `${set.name} (yours)`), "none");
  const query = new URLSearchParams(location.search);
  for (const name of ["dataset", "model"]) {
    const select = selectById(name);
    select.value = query.get(name) ?? select.value;
    const existing = form.querySelector(`[name="${name}-source"][value="existing"]`);
    if (select.value && existing instanceof HTMLInputElement) existing.checked = true;
  }
  const job = query.get("job");
  if (job) await fillIn(job);
  updateVisibility();
}

/** @param {string} id of the job that the form is filled in from */
async function fillIn(id) {
  /** @type {Job} */
  const job = await get(`/v1/jobs/${encodeURIComponent(id)}`);
  if (job.kind === "explain") return;
  const ownVectors = job.kind === "score" && job.state === "succeeded" && job.library.kind === "vectors";
  const fitted = ownVectors ? /** @type {ScoreResult} */ (await get(job.links.result)).library : null;
  earlier = fillFromJob(form, job, fitted);
  form.before(earlierNotice(job, earlier));
}

/**
 * @template {{id: string, kind?: string}} Item
 * @param {string} id
 * @param {Item[]} items
 * @param {(item: Item) => string} label
 * @param {string | null} blank label of an option without a value; null: no such option
 */
function setOptions(id, items, label, blank) {
  const first = blank === null ? [] : [el("option", { value: "" }, blank)];
  byId(id).replaceChildren(...first, ...items.map((item) => el("option", { value: item.id, "data-kind": item.kind }, label(item))));
}

/** Layers to score; more than one make a study. */
const layers = () => (choice("model-source") === "new" && !isFinetuning() ? parseNames(value("layer")) : []);

/** @param {string | undefined} upload */
function modelRequest(upload) {
  const { values, invalidLine } = parseArguments(value("arguments"));
  if (invalidLine !== null) {
    throw new FormProblem("", [{ param: "model.arguments", message: `“${invalidLine}” is not of the form name=value.` }]);
  }
  const preprocessing = filledFields({
    input_size: numberValue("input-size"),
    crop_pct: numberValue("crop-pct"),
    interpolation: value("interpolation"),
    crop_mode: value("crop-mode"),
    channel_order: value("channel-order"),
    value_range: numberValue("value-range"),
    mean: parseNumbers(value("mean")),
    std: parseNumbers(value("std")),
  });
  return filledFields({
    name: value("model-name"),
    architecture: value("architecture"),
    arguments: values,
    layer: layers().length > 1 ? undefined : value("layer"),
    pooling: layers().length > 1 ? undefined : value("pooling"),
    weights_of: value("weights-of"),
    upload,
    preprocessing: Object.keys(preprocessing).length ? preprocessing : undefined,
  });
}

/** @param {string | undefined} upload */
async function datasetRequest(upload) {
  const name = value("dataset-name") || files.dataset.file?.name;
  const table = isFeatures() ? undefined : await uploadOf(manifest, "dataset.manifest.upload");
  const columns = { path_column: value("path-column"), label_column: value("label-column"), split_column: value("split-column") };
  const chosen = table === undefined ? undefined : filledFields({ upload: table, ...columns });
  return filledFields({ name, kind: value("dataset-kind"), upload, test_share: numberValue("test-share"), manifest: chosen });
}

/** Grids and segments that crops are cut from. */
function elementsRequest() {
  /** @type {NodeListOf<HTMLInputElement>} */
  const checked = form.querySelectorAll('[name="scale"]:checked');
  const scales = [...checked].map((box) => Number(box.value));
  const hasSegments = inputById("segments").checked;
  if (!scales.length && !hasSegments) {
    throw new FormProblem("", [{ param: "job.elements", message: "Choose at least one kind of crop." }]);
  }
  const kind = !hasSegments ? "patches" : scales.length ? "patches_and_segments" : "segments";
  return filledFields({ ...earlier.elements, kind, scales: scales.length ? scales : undefined, images_per_class: numberValue("per-class") });
}

/** The library of a job; a file of own vectors is uploaded first. */
async function libraryRequest() {
  if (value("kind") === EARLIER_LIBRARY && earlier.library) return earlier.library;
  const text = value("kind") === "text" ? earlier.text : {};
  if (value("kind") !== "vectors") return filledFields({ kind: value("kind"), concept_count: numberValue("count"), ...text });
  const upload = await uploadOf(vectors, "job.library.upload");
  if (upload === undefined) throw new FormProblem("", [{ param: "job.library.upload", message: "Choose a file of vectors first." }]);
  return { kind: "vectors", upload };
}

/**
 * The fields that score and fine-tuning jobs share.
 * @param {string | undefined} model
 * @param {string | undefined} dataset
 * @param {Record<string, unknown>} library
 */
function commonRequest(model, dataset, library) {
  const elements = isVisual() ? elementsRequest() : undefined;
  return filledFields({ model, dataset, library, elements });
}

/**
 * @param {string | undefined} model
 * @param {string | undefined} dataset
 * @param {Record<string, unknown>} library
 */
function scoreRequest(model, dataset, library) {
  const naming = ["random", "vectors"].includes(value("kind")) || isFeatures() ? {} : filledFields({ vlm: value("vlm"), vocabulary: value("vocabulary") });
  const { activations, ...settings } = earlier.settings;
  const exact = value("protocol") === "exact" ? filledFields({ activations }) : {};
  return { kind: "score", ...settings, ...exact, ...commonRequest(model, dataset, library), protocol: value("protocol"), ...naming };
}

/**
 * @param {string | undefined} model
 * @param {string} dataset
 * @param {Record<string, unknown>} library
 */
function finetuneRequest(model, dataset, library) {
  const training = filledFields({
    sparsity: numberValue("sparsity"),
    lambda: numberValue("lambda"),
    epochs: numberValue("epochs"),
    optimizer: value("optimizer"),
    learning_rate: numberValue("learning-rate"),
    weight_decay: numberValue("weight-decay"),
    batch_size: numberValue("batch-size"),
    accumulation_steps: numberValue("accumulation-steps"),
    warmup_epochs: numberValue("warmup-epochs"),
    trains: value("trains"),
    rebuild_every: numberValue("rebuild-every"),
    patience: numberValue("patience"),
    precision: value("precision"),
    seeds: parseNumbers(value("seeds")),
  });
  return { kind: "finetune", ...commonRequest(model, dataset, library), ...training };
}

/**
 * The study of several layers of a model, with the settings of a score.
 * @param {string} model
 * @param {string} dataset
 * @param {Record<string, unknown>} library
 */
function studyRequest(model, dataset, library) {
  const { kind: _kind, ...settings } = scoreRequest(undefined, undefined, library);
  const entry = filledFields({ model, layers: layers(), pooling: value("pooling") });
  return { ...settings, library: undefined, models: [entry], datasets: [dataset], libraries: [library] };
}

/**
 * The id of the chosen model or data set; an uploaded file is registered first.
 * @param {ResourceName} name
 * @param {(upload: string | undefined) => Record<string, unknown> | Promise<Record<string, unknown>>} makeRequest
 * @returns {Promise<string>}
 */
async function resolveResource(name, makeRequest) {
  if (choice(`${name}-source`) === "existing") {
    if (!value(name)) throw new FormProblem("", [{ param: `job.${name}`, message: "Nothing to choose from yet; upload a file." }]);
    return value(name);
  }
  const upload = await uploadOf(files[name], `${name}.upload`);
  const isDefault = name === "model" && value("architecture").includes(":"); // whose library has default weights
  if (upload === undefined && !isDefault) throw new FormProblem("", [{ param: `${name}.upload`, message: "Choose a file first." }]);
  return register(name, await makeRequest(upload));
}

async function submit() {
  const needsModel = !isFeatures() || isFinetuning();
  const model = needsModel ? resolveResource("model", modelRequest) : Promise.resolve(undefined);
  const [datasetId, modelId] = await allOrProblems(resolveResource("dataset", datasetRequest), model);
  const library = await libraryRequest();
  try {
    if (modelId !== undefined && layers().length > 1) {
      /** @type {Study} */
      const study = await post("/v1/studies", studyRequest(modelId, datasetId, library));
      location.assign(`/studies/${study.id}`);
      return;
    }
    const body = isFinetuning() ? finetuneRequest(modelId, datasetId, library) : scoreRequest(modelId, datasetId, library);
    /** @type {Job} */
    const job = await post("/v1/jobs", body);
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    throw toFormProblem("job", asPageError(error));
  }
}

/** The score jobs of the form as a study whose cost is estimated; null for what is not estimated, or not chosen yet. */
function estimateRequest() {
  const kind = value("kind");
  if (isFinetuning() || kind === "vectors" || kind === EARLIER_LIBRARY || choice("dataset-source") === "new" || !value("dataset")) return null;
  const isNew = choice("model-source") === "new";
  const model = isNew ? NEW_MODEL : value("model");
  if (!isFeatures() && !model) return null;
  const entry = layers().length > 1 ? { model, layers: layers() } : model;
  try {
    return filledFields({
      models: isFeatures() ? [] : [entry],
      datasets: [value("dataset")],
      libraries: [filledFields({ kind, concept_count: numberValue("count"), ...(kind === "text" ? earlier.text : {}) })],
      elements: isVisual() ? elementsRequest() : undefined,
      protocol: value("protocol"),
      vlm: kind === "text" ? value("vlm") : undefined,
      vocabulary: kind === "text" ? value("vocabulary") : undefined,
      unregistered: isNew && !isFeatures() ? { models: [NEW_MODEL] } : undefined,
    });
  } catch {
    return null; // a field is not valid yet; sending the form says which
  }
}

form.addEventListener("input", updateVisibility);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearProblems(form);
  buttonById("send").disabled = true;
  byId("submit-status").textContent = "Waiting for uploads and validation …";
  try {
    await submit();
  } catch (error) {
    byId("submit-status").textContent = "";
    showProblems(form, error);
  } finally {
    buttonById("send").disabled = false;
  }
});

const showEstimate = installEstimate(form, byId("cost"), estimateRequest);
updateVisibility();
loadOptions().then(showEstimate).catch((error) => showProblems(form, error));
