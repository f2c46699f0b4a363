// One study: how far its jobs have come, its table at once, and the statistics when a worker has them.

import { all, get, post } from "./api.js";
import { byId, el, empty, fill, problemView, say } from "./dom.js";
import { sections } from "./study_sections.js";
import { sortable } from "./sortable.js";
import { gridWords, jobsWords, studyMark } from "./study_words.js";
import { counted, halfWidth, interval, missing, number, share, signed } from "./words.js";

const REFRESH_MILLISECONDS = 3000;
const ANALYSIS_MILLISECONDS = 20000; // while jobs still come; each one changes the statistics
const CELLS_READ = 1000;
const FIGURES = { iis_accuracy: "IIS against accuracy", evolution: "Evolution", concept_counts: "Numbers of concepts", sparsity_grids: "Sparsity grids", agreement: "Agreement of libraries" };

const address = `/v1/studies/${encodeURIComponent(decodeURIComponent(location.pathname.split("/")[2]))}`;
const progress = byId("progress");
let told = -1; // jobs whose results the table shows
let analysed = -1;
let analysedAt = 0;

await fill(progress, "Reading the study …", async () => {
  const study = await get(address);
  document.title = `${study.name} · ${document.title}`;
  byId("study-title").textContent = study.name;
  return show(study);
});

function show(study) {
  byId("study-about").textContent = `${gridWords(study.grid)}${study.grid.protocol === "reference" ? ", reference protocol" : ""}`;
  const state = studyMark(study);
  state.id = "study-state";
  byId("study-state").replaceWith(state);
  refreshResults(study);
  if (study.state === "running") setTimeout(follow, REFRESH_MILLISECONDS);
  return [bar(study), ...actions(study)];
}

function bar({ jobs, state }) {
  const ended = jobs.succeeded + jobs.failed + jobs.canceled;
  const line = state === "running" ? el("progress", { max: jobs.total, value: ended, "aria-label": "Jobs that have ended" }) : null;
  return el("div", { class: "progress" }, line, el("p", { class: "progress-words" }, `${jobsWords(jobs)}.`));
}

function actions(study) {
  const problem = el("div");
  const act = (words, path, json) =>
    el("button", { type: "button", onclick: async (event) => {
      event.currentTarget.disabled = true;
      try {
        progress.replaceChildren(...show(await post(path, json)));
        say(words);
      } catch (error) {
        problem.replaceChildren(problemView(error));
      }
    } }, words);
  const why = el("button", { type: "button", class: "quiet", onclick: () => fill(problem, "Reading why …", () => failures(study)) }, "Why did some fail?");
  const found = [study.state === "running" ? act("Cancel", study.links.cancel) : null, study.jobs.failed || study.jobs.canceled ? act("Try again what has no result", study.links.extend, {}) : null, study.jobs.failed ? why : null];
  return [el("div", { class: "study-actions" }, found), problem];
}

async function failures(study) {
  const cells = (await all(`${study.links.cells}?limit=100`, CELLS_READ)).filter((cell) => cell.state === "failed");
  if (!cells.length) return el("p", { class: "help" }, `None of the first ${CELLS_READ.toLocaleString("en")} cells failed; read the others with the API.`);
  return el("ul", { class: "plain-list notice problem" }, cells.slice(0, 20).map((cell) => el("li", {}, el("a", { href: `/jobs/${cell.job}` }, `${cell.label}, ${cell.dataset_name}, ${cell.library}`), `: ${cell.error?.message ?? "no reason was recorded."}`)));
}

async function follow() {
  if (document.hidden) {
    setTimeout(follow, REFRESH_MILLISECONDS);
    return;
  }
  try {
    progress.replaceChildren(...show(await get(address)));
  } catch (error) {
    progress.append(problemView(error, () => location.reload()));
  }
}

function refreshResults(study) {
  const { succeeded } = study.jobs;
  if (succeeded !== told) {
    told = succeeded;
    if (byId("table").childElementCount) tableOf(study).then((nodes) => byId("table").replaceChildren(...nodes)).catch(() => (told = -1));
    else fill(byId("table"), "Reading the table …", () => tableOf(study));
  }
  const due = study.state === "finished" || Date.now() - analysedAt > ANALYSIS_MILLISECONDS;
  if (succeeded && succeeded !== analysed && due) {
    analysed = succeeded;
    analysedAt = Date.now();
    analyse(study);
  }
}

function analyse(study) {
  const region = byId("analysis");
  const work = async () => {
    const found = await get(study.links.analysis);
    say("The statistics are here.");
    return sections(found);
  };
  if (region.childElementCount) work().then((nodes) => region.replaceChildren(...nodes)).catch(() => (analysed = -1));
  else fill(region, "A worker works out the statistics …", work);
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
  const figures = data.length ? Object.entries(FIGURES).filter(([name]) => wanted(name, study.grid)).map(([name, words]) => el("li", {}, `${words}: `, ["png", "svg"].map((format, index) => [index ? ", " : "", el("a", { href: study.links[`figures/${name}.${format}`] }, format.toUpperCase())]))) : [];
  return [
    el("h2", {}, `Table of ${counted(data.length, "result")}`),
    el("ul", { class: "downloads" }, el("li", {}, el("a", { href: study.links["table.csv"], download: true }, "CSV")), el("li", {}, el("a", { href: study.links["table.parquet"], download: true }, "Parquet")), figures),
    el("p", { class: "help" }, "± is half of a 95 % interval. Press a heading to sort by it."),
    ...sortable(`Results of ${study.name}`, columns, data),
  ];
}

function wanted(name, grid) {
  if (name === "evolution") return grid.evolution;
  if (name === "concept_counts") return grid.concept_counts?.length > 1 || grid.libraries.length > 1;
  if (name === "sparsity_grids") return grid.sparsity_grids.length > 0;
  if (name === "agreement") return grid.libraries.length > 1;
  return true;
}
