// One study: how far its jobs have come, its table at once, and the statistics when a worker has them.

import { get } from "./api.js";
import { byId, el, empty, fill, legible, renew, say } from "./dom.js";
import { StudyProgress } from "./study_progress.js";
import { sections } from "./study_sections.js";
import { asItCame, sortable } from "./sortable.js";
import { gridWords, studyMark } from "./study_words.js";
import { counted, halfWidth, interval, missing, number, share, signed } from "./words.js";

const REFRESH_MILLISECONDS = 3000;
const RESULTS_MILLISECONDS = 20000; // while jobs still come; each one changes table and statistics
const GONE = [401, 403, 404]; // whoever asks again is told the same
const FIGURES = { iis_accuracy: "IIS against accuracy", evolution: "Evolution", concept_counts: "Numbers of concepts", sparsity_grids: "Sparsity grids", agreement: "Agreement of libraries" };

const address = `/v1/studies/${encodeURIComponent(decodeURIComponent(location.pathname.split("/")[2]))}`;
const progress = new StudyProgress(show);
const view = asItCame(); // of the table
let timer = null;
let told = null; // jobs whose results are shown
let toldAt = 0;

await fill(byId("progress"), "Reading the study …", async () => {
  const study = await get(address);
  document.title = `${legible(study.name)} · ${document.title}`;
  byId("study-title").textContent = legible(study.name);
  show(study);
  return progress.nodes;
});

function show(study) {
  byId("study-about").textContent = `${gridWords(study.grid)}${study.grid.protocol === "reference" ? ", reference protocol" : ""}`;
  const state = studyMark(study);
  state.id = "study-state";
  byId("study-state").replaceWith(state);
  progress.show(study);
  showResults(study);
  followLater(study.state === "running");
}

function followLater(wanted) {
  clearTimeout(timer);
  timer = wanted ? setTimeout(follow, REFRESH_MILLISECONDS) : null;
}

async function follow() {
  if (document.hidden) return followLater(true);
  try {
    show(await get(address));
  } catch (error) {
    const gone = GONE.includes(error.status);
    progress.showLost(error, gone ? null : follow);
    followLater(!gone);
  }
}

function showResults(study) {
  const { succeeded } = study.jobs;
  const due = study.state === "finished" || Date.now() - toldAt > RESULTS_MILLISECONDS;
  if (succeeded === told || !due) return;
  told = succeeded;
  if (succeeded) toldAt = Date.now(); // the first result is shown as soon as it is there
  renew(byId("table"), "Reading the table …", () => tableOf(study));
  if (succeeded) renew(byId("analysis"), "A worker works out the statistics …", () => analysisOf(study));
}

async function analysisOf(study) {
  const found = await get(study.links.analysis);
  say("The statistics are here.");
  return sections(found);
}

async function tableOf(study) {
  const { data } = await get(study.links.table);
  if (!data.length) return [empty("Nothing to show yet", "The first job that finishes puts a row here.")];
  const several = (name) => new Set(data.map((row) => row[name])).size > 1;
  const columns = [
    { heading: "Model", value: (row) => row.label, cell: (row) => el("a", { href: `/jobs/${row.job}` }, row.label) },
    several("epoch") && { heading: "Epoch", value: (row) => row.epoch, cell: (row) => row.epoch ?? "–", kind: "number" },
    several("dataset") && { heading: "Data set", value: (row) => row.dataset_name, cell: (row) => row.dataset_name },
    several("library") && { heading: "Library", value: (row) => row.library, cell: (row) => row.library },
    several("concept_count") && { heading: "M", value: (row) => row.concept_count, cell: (row) => row.concept_count, kind: "number" },
    several("library_dataset") && { heading: "Cut from", value: (row) => row.library_dataset_name ?? "", cell: (row) => row.library_dataset_name ?? "its own" },
    several("seed") && { heading: "Seed", value: (row) => row.seed, cell: (row) => row.seed, kind: "number" },
    { heading: "Accuracy", value: (row) => row.accuracy, cell: (row) => `${share(row.accuracy)} ± ${number(50 * (row.accuracy_high - row.accuracy_low), 1)}`, kind: "number" },
    { heading: "IIS", value: (row) => row.iis, cell: (row) => (row.near_chance ? "near chance" : `${number(row.iis)} ${halfWidth(row.iis_low, row.iis_high)}`), kind: "number" },
    { heading: "Random", value: (row) => row.iis_random_mean, cell: (row) => number(row.iis_random_mean), kind: "number" },
    { heading: "Gain", value: (row) => row.concept_gain, cell: (row) => [signed(row.concept_gain), missing(row.concept_gain_low) ? "" : ` (${interval(row.concept_gain_low, row.concept_gain_high)})`], kind: "number" },
    { heading: "IIS over log k", value: (row) => row.iis_log, cell: (row) => number(row.iis_log), kind: "number" },
  ].filter(Boolean);
  const figures = data.length ? Object.entries(FIGURES).filter(([name]) => wanted(name, study.grid, data)).map(([name, words]) => el("li", {}, `${words}: `, ["png", "svg"].map((format, index) => [index ? ", " : "", el("a", { href: study.links[`figures/${name}.${format}`] }, format.toUpperCase())]))) : [];
  return [
    el("h2", {}, `Table of ${counted(data.length, "result")}`),
    el("ul", { class: "downloads" }, el("li", {}, el("a", { href: study.links["table.csv"], download: true }, "CSV")), el("li", {}, el("a", { href: study.links["table.parquet"], download: true }, "Parquet")), figures),
    el("p", { class: "help" }, "± is half of a 95 % interval. Press a heading to sort by it."),
    ...sortable(`Results of ${study.name}`, columns, data, view),
  ];
}

function wanted(name, grid, rows) {
  if (name === "evolution") return grid.evolution;
  if (name === "concept_counts") return haveSeveralSizes(rows);
  if (name === "sparsity_grids") return grid.sparsity_grids.length > 0;
  if (name === "agreement") return grid.libraries.length > 1;
  return true;
}

function haveSeveralSizes(rows) {
  const sizes = new Map();
  for (const { library, concept_count: size } of rows) sizes.set(library, (sizes.get(library) ?? new Set()).add(size));
  return [...sizes.values()].some((own) => own.size > 1);
}
