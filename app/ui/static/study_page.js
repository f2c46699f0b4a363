// Page of one study: progress of its jobs, table of results, statistics.

import { get } from "./api.js";
import { announce, byId, loadInto, reloadInto } from "./dom.js";
import { asPageError } from "./errors.js";
import { escapeInvisible } from "./escaping.js";
import { showTools } from "./page_tools.js";
import { sharePanel } from "./share_panel.js";
import { defaultView } from "./sortable_table.js";
import { describeGrid, studyStateLabel } from "./study_formatting.js";
import { StudyProgress } from "./study_progress.js";
import { analysisSections } from "./study_sections.js";
import { resultsTable } from "./study_table.js";

/** @import { Analysis, Study, StudyRow } from "../types.d.ts" */

const REFRESH_MILLISECONDS = 3000;
const RESULTS_MILLISECONDS = 20000; // between reloads of table and statistics while jobs finish
const PERMANENT_STATUSES = [401, 403, 404];

const address = `/v1/studies/${encodeURIComponent(decodeURIComponent(location.pathname.split("/")[2]))}`;
const progress = new StudyProgress(show);
const tableView = defaultView();
/** @type {number | undefined} */
let timer;
/** @type {number | null} */
let shownResults = null; // number of jobs whose results are shown
let shownAt = 0;

await loadInto(byId("progress"), "Loading the study …", async () => {
  /** @type {Study} */
  const study = await get(address);
  const name = escapeInvisible(study.name);
  document.title = `${name} · ${document.title}`;
  byId("study-title").textContent = name;
  showTools(address, sharePanel("study", () => ({ study: study.id })));
  show(study);
  return progress.nodes;
});

/** @param {Study} study */
function show(study) {
  const protocol = study.grid.protocol === "reference" ? ", reference protocol" : "";
  const activations = study.grid.activations === "layernorm" ? ", first edition (LayerNorm alone)" : "";
  byId("study-about").textContent = `${describeGrid(study.grid)}${protocol}${activations}`;
  const state = studyStateLabel(study);
  state.id = "study-state";
  byId("study-state").replaceWith(state);
  progress.show(study);
  showResults(study);
  scheduleRefresh(study.state === "running");
}

/** @param {boolean} wanted */
function scheduleRefresh(wanted) {
  clearTimeout(timer);
  timer = wanted ? setTimeout(refresh, REFRESH_MILLISECONDS) : undefined;
}

async function refresh() {
  if (document.hidden) return scheduleRefresh(true);
  try {
    show(await get(address));
  } catch (error) {
    const permanent = PERMANENT_STATUSES.includes(asPageError(error).status);
    progress.showConnectionError(error, permanent ? null : refresh);
    scheduleRefresh(!permanent);
  }
}

/** @param {Study} study */
function showResults(study) {
  const { succeeded } = study.jobs;
  const due = study.state === "finished" || Date.now() - shownAt > RESULTS_MILLISECONDS;
  if (succeeded === shownResults || !due) return;
  shownResults = succeeded;
  if (succeeded) shownAt = Date.now(); // without results, the first one is shown without a delay
  reloadInto(byId("table"), "Loading the table …", () => loadTable(study));
  if (succeeded) reloadInto(byId("analysis"), "Computing the statistics …", () => loadAnalysis(study));
}

/** @param {Study} study */
async function loadTable(study) {
  /** @type {{data: StudyRow[]}} */
  const { data } = await get(study.links.table);
  return resultsTable(study, data, tableView);
}

/** @param {Study} study */
async function loadAnalysis(study) {
  /** @type {Analysis} */
  const analysis = await get(study.links.analysis);
  announce("The statistics are loaded.");
  return analysisSections(analysis);
}
