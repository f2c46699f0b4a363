// Page with the list of jobs: filters and order in the address, actions on chosen jobs, updates of unfinished ones, more on request.

import { get } from "./api.js";
import { buttonById, byId, el, emptyState, loadInto } from "./dom.js";
import { isFinished } from "./job_formatting.js";
import { JobRow } from "./job_row.js";
import { installSelection, showSelection } from "./job_selection.js";
import { followJob } from "./job_updates.js";
import { latestOnly } from "./latest_load.js";
import { installFilters, offerTags } from "./list_filters.js";
import { listQuery } from "./list_query.js";
import { installOlder } from "./older_rows.js";
import { showTools } from "./page_tools.js";

/** @import { Job, Page } from "../types.d.ts" */

const PAGE_JOBS = 20;
const MAX_STREAMS = 3; // browsers allow six connections to one host; the page needs some for other requests
const REFRESH_MILLISECONDS = 3000;

const list = byId("jobs");
const older = buttonById("older");
const inProgress = byId("in-progress");
/** @type {Map<string, JobRow>} */
const rows = new Map();
/** @type {Map<string, () => void>} */
const streams = new Map(); // by job; the functions stop them
/** @type {string | null} */
let next = null;
let shownInProgress = "";

const values = installFilters(["name", "state", "kind", "tag", "sort"], show);
const selectedRows = () => [...rows.values()].filter((row) => row.box.checked);
const unfinishedRows = () => [...rows.values()].filter((row) => !isFinished(row.job.state));

/** Running jobs are listed below all queued ones, which are newer; link to them above the list. */
function showInProgress() {
  const unfinished = unfinishedRows();
  const running = unfinished.filter((row) => row.job.state === "running").map((row) => ({ id: row.job.id, name: row.name }));
  const queued = unfinished.filter((row) => row.job.state === "queued").length;
  inProgress.hidden = !running.length || !queued;
  const content = JSON.stringify([running, queued]);
  if (inProgress.hidden || shownInProgress === content) return; // unchanged links keep the focus
  shownInProgress = content;
  const links = running.flatMap(({ id, name }, index) => [index ? ", " : "", el("a", { href: `/jobs/${id}` }, name)]);
  inProgress.replaceChildren(`In progress: ${running.length} running (`, ...links, `), ${queued} queued.`);
}

/** Follow unfinished jobs by streams, up to the limit. */
function openStreams() {
  for (const row of unfinishedRows()) {
    if (streams.size >= MAX_STREAMS) return;
    if (streams.has(row.job.id)) continue;
    const stop = followJob(row.job, {
      onJob: (job) => {
        row.show(job);
        if (!isFinished(job.state)) return;
        streams.get(job.id)?.();
        streams.delete(job.id);
        openStreams();
      },
      onEvent: (...[type, data]) => {
        if (type === "progress") row.showProgress(data);
      },
    });
    streams.set(row.job.id, stop);
  }
}

const firstPage = () => `/v1/jobs?${listQuery(values(), PAGE_JOBS)}`;

/** The number of chosen jobs and running ones. */
function onChange() {
  showInProgress();
  showSelection(selectedRows());
}

const getLatest = latestOnly(/** @type {(address: string) => Promise<Page<Job>>} */ (get));

/**
 * The nodes of the rows that a page of jobs adds; null where a later load has begun.
 * @param {string} address
 */
async function load(address) {
  const page = await getLatest(address);
  if (page === null) return null;
  const added = page.data.filter((job) => !rows.has(job.id)).map((job) => new JobRow(job, onChange));
  for (const row of added) rows.set(row.job.id, row);
  next = page.links.next ?? null;
  older.hidden = next === null;
  onChange();
  offerTags([...rows.values()].map(({ job }) => job));
  openStreams();
  return added.map((row) => row.node);
}

function emptyList() {
  if (Object.values(values()).some(Boolean)) return emptyState("No matching jobs", "None of your jobs matches the filters.");
  return el(
    "div",
    { class: "empty-state" },
    el("h2", {}, "No jobs yet"),
    el("p", {}, "Upload a checkpoint and labelled images to compute the first score."),
    el("p", {}, el("a", { class: "button primary", href: "/submit" }, "Submit a job")),
  );
}

function show() {
  for (const stop of streams.values()) stop();
  streams.clear();
  rows.clear();
  onChange();
  older.hidden = true;
  showTools(firstPage());
  return loadInto(list, "Loading your jobs …", async () => {
    const nodes = await load(firstPage());
    if (nodes === null) return null; // loadInto discards it too
    return nodes.length ? el("ol", { class: "job-list", id: "job-list" }, nodes) : emptyList();
  });
}

installOlder(older, list, "job-list", async () => (next === null ? null : load(next)));

/** Poll for the unfinished jobs without a stream. */
async function refresh() {
  if (!document.hidden && unfinishedRows().some((row) => !streams.has(row.job.id))) {
    /** @type {Promise<Page<Job>>} */
    const request = get(firstPage());
    const jobs = await request.then(({ data }) => data, () => []);
    for (const job of jobs) if (!streams.has(job.id)) rows.get(job.id)?.show(job);
    openStreams();
  }
  setTimeout(refresh, REFRESH_MILLISECONDS);
}

installSelection(selectedRows, (row) => {
  row.node.remove();
  rows.delete(row.job.id);
  onChange();
  if (!rows.size) show();
});
await show();
refresh();
