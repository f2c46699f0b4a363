// Page that compares up to 12 score jobs: curves, IIS against accuracy, a table of scores.

import { get, getAll } from "./api.js";
import { colour, draw, seriesStyle } from "./charts.js";
import { curvePlot } from "./curves.js";
import { announce, byId, el, emptyState, errorNotice, loadInto, section, table } from "./dom.js";
import { escapeLabel } from "./escaping.js";
import { capitalise, formatCount, formatHalfWidth, formatInterval, formatNumber, formatPercent, formatSigned, formatTime, isMissing } from "./formatting.js";
import { imageThroughBoth } from "./image_through_both.js";
import { describeDifferences } from "./job_differences.js";
import { describeLibrary } from "./job_formatting.js";
import { showTools } from "./page_tools.js";
import { commonQuantityName, quantityName } from "./report_formatting.js";
import { datasetName, distinctTitles, modelName } from "./resource_names.js";

/** @import { Comparison, CurvePoint, Report, ScoreJob } from "../types.d.ts" */

/** @typedef {{job: ScoreJob, dataset: string, title: string}} NamedJob */
/** @typedef {NamedJob & {report: Report, points: CurvePoint[]}} ScoredJob */

const MAX_LISTED = 200;
const MAX_SELECTED = 12;

const selected = new Set(new URLSearchParams(location.search).getAll("job"));
let image = new URLSearchParams(location.search).get("image") ?? ""; // number of the test image through two models
/** @type {Map<string, NamedJob>} */
const jobsById = new Map();

await loadInto(byId("choice"), "Loading finished jobs …", async () => {
  /** @type {ScoreJob[]} */
  const jobs = await getAll("/v1/jobs?state=succeeded&kind=score&limit=100", MAX_LISTED);
  if (!jobs.length) return emptyState("No finished jobs", "Finished score jobs can be compared here.");
  const named = jobs.map(withNames);
  for (const item of named) jobsById.set(item.job.id, item);
  for (const id of selected) if (!jobsById.has(id)) selected.delete(id);
  return el("fieldset", { class: "chooser" }, el("legend", {}, "Finished jobs, newest first"), named.map(checkbox));
});
if (jobsById.size) await compare();

/**
 * @param {ScoreJob} job
 * @returns {NamedJob}
 */
function withNames(job) {
  return { job, dataset: datasetName(job), title: `${modelName(job)}, ${describeLibrary(job.library)}` };
}

/** @param {NamedJob} item */
function checkbox({ job, title, dataset }) {
  const box = el("input", { type: "checkbox", id: `choose-${job.id}` });
  box.checked = selected.has(job.id);
  box.addEventListener("change", () => {
    if (box.checked && selected.size >= MAX_SELECTED) {
      box.checked = false;
      announce(`At most ${MAX_SELECTED} jobs can be compared; clear one first.`);
      return;
    }
    if (box.checked) selected.add(job.id);
    else selected.delete(job.id);
    writeAddress();
    compare();
  });
  const details = el("span", { class: "help" }, `${dataset}, ${formatTime(job.created_at)}`);
  return el("label", { class: "check", for: box.id }, box, title, " ", details);
}

/** Write the selected jobs and the image to the page's address. */
function writeAddress() {
  const query = new URLSearchParams([...selected].map((id) => ["job", id]));
  if (image) query.set("image", image);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function compare() {
  return loadInto(byId("comparison"), "Loading results …", async () => {
    const items = [...selected].flatMap((id) => jobsById.get(id) ?? []);
    if (!items.length) return el("p", { class: "help" }, "Select two or more jobs.");
    const address = `/v1/comparison?${new URLSearchParams(items.map(({ job }) => ["job", job.id]))}`;
    showTools(address);
    /** @type {Comparison} */
    const { data } = await get(address);
    const scored = items.map((item, index) => withResult(item, data[index]));
    const titles = distinctTitles(scored);
    announce(`${formatCount(scored.length, "job")} compared.`);
    return [
      differencesNotice(scored),
      curvesSection(scored, titles),
      scatterSection(scored, titles),
      scoresSection(scored, titles),
      imageOfBoth(scored, titles),
    ];
  });
}

/**
 * @param {NamedJob} item
 * @param {Comparison["data"][number]} result
 * @returns {ScoredJob}
 */
function withResult(item, { report, curves }) {
  return { ...item, report, points: curves.find((curve) => curve.name === "library")?.points ?? [] };
}

/**
 * One image through two models, for two jobs with the same test images.
 * @param {ScoredJob[]} jobs
 * @param {string[]} titles
 */
function imageOfBoth(jobs, titles) {
  const [first, second, ...others] = jobs.map(({ job }) => job);
  if (!second || others.length || first.dataset !== second.dataset) return null;
  const explainable = [first, second].every(({ protocol, model }) => protocol === "exact" && model !== null);
  if (!explainable) return null;
  return imageThroughBoth([first.id, second.id], titles, image, (chosen) => {
    image = chosen;
    writeAddress();
  });
}

/** @param {ScoredJob[]} jobs */
function differencesNotice(jobs) {
  return describeDifferences(jobs).map((sentence) => el("p", { class: "notice warning" }, sentence));
}

/** @param {ScoredJob[]} jobs */
function quantityOf(jobs) {
  return commonQuantityName(jobs.map(({ report }) => report));
}

/**
 * @param {ScoredJob[]} jobs
 * @param {string[]} titles
 */
function curvesSection(jobs, titles) {
  const series = jobs.map(({ points }, index) => ({ name: titles[index], points }));
  const summary = `ARR curves of ${titles.join("; ")}. The table below lists their scores.`;
  const help = el("p", { class: "help" }, "One line and marker per job; shaded: 95 % intervals.");
  return section("curves", "Curves", help, curvePlot(series, quantityOf(jobs), summary));
}

/**
 * @param {ScoredJob[]} jobs
 * @param {string[]} titles
 */
function scatterSection(jobs, titles) {
  const points = jobs.map(({ report }, index) => ({ report, title: titles[index], index })).filter(({ report }) => !isMissing(report.iis));
  const descriptions = points.map(({ report, title }) => `${title} ${formatNumber(report.iis)} at ${formatPercent(report.accuracy_representation)}`);
  const quantity = quantityOf(jobs);
  const plot = el("div", { class: "plot", role: "img", "aria-label": `IIS against ${quantity}: ${descriptions.join("; ")}.` });
  const problem = el("div");
  const makePlot = () => ({
    traces: points.map(({ report, title, index }) => scatterTrace(report, title, index)),
    layout: { xaxis: { title: `${capitalise(quantity)} of the representation` }, yaxis: { title: "IIS" }, hovermode: "closest" },
  });
  requestAnimationFrame(() => draw(plot, makePlot).catch((error) => problem.replaceChildren(errorNotice(error))));
  return section("scatter", `IIS against ${quantity}`, el("p", { class: "help" }, "Error bars: 95 % intervals."), plot, problem);
}

/**
 * @param {Report} report
 * @param {string} title
 * @param {number} index
 */
function scatterTrace(report, title, index) {
  const { colour: shade, symbol } = seriesStyle(index);
  const { accuracy_representation: accuracy, iis } = report;
  /**
   * @param {number | null} value
   * @param {number | null | undefined} low
   * @param {number | null | undefined} high
   */
  const errorBars = (value, low, high) => ({
    type: "data",
    symmetric: false,
    array: [isMissing(value) || isMissing(high) ? 0 : high - value],
    arrayminus: [isMissing(value) || isMissing(low) ? 0 : value - low],
    color: shade,
    thickness: 1.5,
    width: 5,
  });
  const tooltip = [
    escapeLabel(title),
    `IIS ${formatNumber(iis)} (${formatInterval(report.iis_low, report.iis_high)})`,
    `${quantityName(report)} ${formatPercent(accuracy)}`,
  ];
  return {
    x: [accuracy],
    y: [iis],
    name: escapeLabel(title),
    mode: "markers",
    marker: { color: shade, symbol, size: 11, line: { color: colour("background"), width: 1 } },
    error_x: errorBars(accuracy, report.accuracy_representation_low, report.accuracy_representation_high),
    error_y: errorBars(iis, report.iis_low, report.iis_high),
    text: [tooltip.join("<br>")],
    hovertemplate: "%{text}<extra></extra>",
  };
}

/**
 * @param {ScoredJob[]} jobs
 * @param {string[]} titles
 */
function scoresSection(jobs, titles) {
  const rows = jobs.map((item, index) => ({ ...item, title: titles[index] }));
  const scores = table(
    "Scores of the selected jobs",
    [
      ["Job", (row) => el("a", { href: `/jobs/${row.job.id}` }, row.title)],
      ["Data set", (row) => row.dataset],
      [capitalise(quantityOf(jobs)), (row) => formatPercent(row.report.accuracy_representation), "number"],
      ["IIS", (row) => `${formatNumber(row.report.iis)} ${formatHalfWidth(row.report.iis_low, row.report.iis_high)}`, "number"],
      ["5 to 30 concepts", (row) => formatPercent(row.report.few_concepts_mean), "number"],
      ["Over matched", (row) => formatSigned(row.report.controls?.matched?.few_gain), "number"],
      [
        "Over matched, 95 % interval",
        (row) => formatInterval(row.report.controls?.matched?.few_gain_low, row.report.controls?.matched?.few_gain_high),
        "number",
      ],
      ["Edition", (row) => String(row.report.edition ?? 1), "number"],
      ["IIS over log k", (row) => formatNumber(row.report.iis_log), "number"],
    ],
    rows,
  );
  return section("scores", "Scores", scores);
}
