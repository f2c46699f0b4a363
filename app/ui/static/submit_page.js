// The form that submits a job: files travel as soon as they are chosen, and refusals are shown at the field they are about.

import { all, checked, post } from "./api.js";
import { byId, el } from "./dom.js";
import { Refused, clearProblems, refused, showProblems } from "./field_problems.js";
import { FileField } from "./file_field.js";

const form = byId("submit");
const files = { dataset: new FileField(byId("dataset-file").closest(".drop")), model: new FileField(byId("model-file").closest(".drop")) };
const made = new Map(); // what an earlier press of the button has registered already, so that a corrected form does not do it twice
const phrases = new Set(["text"]);
const visual = new Set(["prototype", "cluster", "end2end"]);

const choice = (name) => form.elements[name].value;
const value = (id) => byId(id).value.trim();
const part = (name) => form.querySelectorAll(`[data-part="${name}"]`);
const isTraining = () => choice("task") === "finetune";
const isFeatures = () => (choice("dataset-from") === "known" ? byId("dataset").selectedOptions[0]?.dataset.kind : value("dataset-kind")) === "features";

function arrange() {
  for (const name of ["dataset", "model"]) {
    for (const from of ["new", "known"]) for (const node of part(`${name}-${from}`)) node.hidden = choice(`${name}-from`) !== from;
  }
  for (const node of part("finetune")) node.hidden = !isTraining();
  for (const node of part("score")) node.hidden = isTraining();
  const phrased = byId("kind").querySelector('[value="text"]'); // phrases cannot follow a network that changes
  phrased.disabled = isTraining();
  if (phrased.disabled && phrased.selected) byId("kind").value = "cluster";
  byId("model-step").hidden = isFeatures() && !isTraining();
  const kind = value("kind");
  for (const node of part("words")) node.hidden = kind === "random" || isFeatures() || isTraining();
  for (const node of part("crops")) node.hidden = !visual.has(kind) || isFeatures();
  byId("vlm-help").textContent = phrases.has(kind) ? "It says which phrases an image shows." : "It names the concepts; leave it out for none.";
}

async function offer() {
  const [models, datasets, shipped, own] = await Promise.all([all("/v1/models?limit=100"), all("/v1/datasets?limit=100"), all("/v1/concept-sets/shipped"), all("/v1/concept-sets?limit=100")]);
  const ready = models.filter((model) => model.state === "ready");
  options("model", ready.filter((model) => model.role === "backbone"), (model) => `${model.name} (${model.architecture})`, "no model is ready yet");
  options("dataset", datasets.filter((one) => one.state === "ready"), (one) => one.name, "no data set is ready yet");
  options("vlm", ready.filter((model) => model.role === "vlm"), (model) => model.name, "none", true);
  options("vocabulary", [...own, ...shipped], (set) => (set.origin === "shipped" ? set.id : `${set.name} (yours)`), "none", true);
  const asked = new URLSearchParams(location.search);
  for (const name of ["dataset", "model"]) {
    if (asked.has(name)) byId(name).value = asked.get(name);
    if (byId(name).value) form.querySelector(`[name="${name}-from"][value="known"]`).checked = true;
  }
  arrange();
}

function options(id, items, words, none, optional = false) {
  const blank = optional || !items.length ? [el("option", { value: "" }, none)] : [];
  byId(id).replaceChildren(...blank, ...items.map((item) => el("option", { value: item.id, "data-kind": item.kind }, words(item))));
}

// `name=value` on each line; a value that is JSON is taken as such, anything else as a word.
function argumentsGiven() {
  const given = {};
  for (const line of value("arguments").split("\n").map((one) => one.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Refused("", [{ param: "model.arguments", message: `Write each argument as name=value; “${line}” is not.` }]);
    const text = line.slice(at + 1).trim();
    try {
      given[line.slice(0, at).trim()] = JSON.parse(text);
    } catch {
      given[line.slice(0, at).trim()] = text;
    }
  }
  return given;
}

// A number where one was written; what is no number goes as it is, for the API to say so.
function figure(id) {
  const text = value(id);
  if (!text) return undefined;
  return Number.isNaN(Number(text)) ? text : Number(text);
}

function figures(id) {
  return value(id) ? value(id).split(/[\s,;]+/).map((text) => (Number.isNaN(Number(text)) ? text : Number(text))) : undefined;
}

const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, one]) => one !== undefined && one !== ""));

function modelRequest(upload) {
  const preprocessing = given({ input_size: figure("input-size"), crop_pct: figure("crop-pct"), interpolation: value("interpolation"), mean: figures("mean"), std: figures("std") });
  return given({ name: value("model-name"), architecture: value("architecture"), arguments: argumentsGiven(), layer: value("layer"), upload, preprocessing: Object.keys(preprocessing).length ? preprocessing : undefined });
}

function datasetRequest(upload) {
  return given({ name: value("dataset-name") || files.dataset.file.name, kind: value("dataset-kind"), upload, test_share: figure("test-share") });
}

function jobRequest(model, dataset) {
  const kind = value("kind");
  const words = kind === "random" || isFeatures() ? {} : given({ vlm: value("vlm"), vocabulary: value("vocabulary") });
  const elements = visual.has(kind) && !isFeatures() ? { elements: given({ images_per_class: figure("per-class") }) } : {};
  return { kind: "score", ...given({ model }), dataset, library: given({ kind, concept_count: figure("count") }), protocol: value("protocol"), ...words, ...elements };
}

function trainingRequest(model, dataset) {
  const kind = value("kind");
  const schedule = {
    sparsity: figure("sparsity"),
    lambda: figure("lambda"),
    epochs: figure("epochs"),
    optimizer: value("optimizer"),
    learning_rate: figure("learning-rate"),
    weight_decay: figure("weight-decay"),
    batch_size: figure("batch-size"),
    accumulation_steps: figure("accumulation-steps"),
    warmup_epochs: figure("warmup-epochs"),
    trains: value("trains"),
    rebuild_every: figure("rebuild-every"),
    patience: figure("patience"),
    precision: value("precision"),
    seeds: figures("seeds"),
  };
  const elements = visual.has(kind) ? { elements: given({ images_per_class: figure("per-class") }) } : {};
  return { kind: "finetune", ...given({ model }), dataset, library: given({ kind, concept_count: figure("count") }), ...given(schedule), ...elements };
}

// The id of a model or data set that is ready: chosen, or made from the file.
async function registered(name, plural, request) {
  if (choice(`${name}-from`) === "known") {
    if (!value(name)) throw new Refused("", [{ param: `job.${name}`, message: "There is none to choose yet; upload one." }]);
    return value(name);
  }
  const file = files[name];
  if (!file.upload) throw new Refused("", [{ param: `${name}.upload`, message: "Choose a file first." }]);
  const upload = await file.upload.catch((error) => Promise.reject(new Refused(error.message, [{ param: `${name}.upload`, message: error.message }])));
  const body = request(upload.id);
  const key = JSON.stringify([plural, body]);
  try {
    if (!made.has(key)) made.set(key, await post(`/v1/${plural}`, body));
    const seen = await checked(made.get(key).links.self);
    if (seen.state === "ready") return seen.id;
    made.delete(key);
    throw refused(name, { message: seen.error.message, errors: [{ param: seen.error.param ?? "upload", message: seen.error.message }] });
  } catch (error) {
    throw error instanceof Refused ? error : refused(name, error);
  }
}

// Refusals of both, where there are two, rather than the first alone.
async function both(first, second) {
  const settled = await Promise.allSettled([first, second]);
  const failures = settled.filter((one) => one.status === "rejected").map((one) => one.reason);
  if (failures.length) throw failures.length === 1 ? failures[0] : Object.assign(new Refused("", failures.flatMap((one) => one.entries ?? [{ param: "", message: one.message }])), { requestId: failures[0].requestId });
  return settled.map((one) => one.value);
}

form.addEventListener("input", arrange);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  clearProblems(form);
  byId("send").disabled = true;
  byId("doing").textContent = "Waiting until files are here and a worker has looked at them …";
  try {
    const model = isFeatures() && !isTraining() ? Promise.resolve(undefined) : registered("model", "models", modelRequest);
    const [dataset, backbone] = await both(registered("dataset", "datasets", datasetRequest), model);
    const job = await post("/v1/jobs", (isTraining() ? trainingRequest : jobRequest)(backbone, dataset)).catch((error) => Promise.reject(refused("job", error)));
    location.assign(`/jobs/${job.id}`);
  } catch (error) {
    byId("doing").textContent = "";
    showProblems(form, error);
  } finally {
    byId("send").disabled = false;
  }
});

arrange();
offer().catch((error) => showProblems(form, error));
