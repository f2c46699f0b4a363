// Result of a score job: IIS with its control, curves, all values, accuracy by class, downloads.

import { get, getAll } from "./api.js";
import { colour } from "./charts.js";
import { describeCurves } from "./curve_points.js";
import { curvePlot, curveTable } from "./curves.js";
import { downloadItem, downloadList, el, loadInto, section, table } from "./dom.js";
import {
  formatCount,
  formatHalfWidth,
  formatInterval,
  formatNumber,
  formatPercent,
  formatPercentInterval,
  formatSigned,
  formatTime,
  isMissing,
} from "./formatting.js";
import { notesNotice } from "./notes.js";
import { describeReport } from "./report_formatting.js";
import { scoreScale } from "./score_scale.js";
import { warningsNotice } from "./warnings.js";

/** @import { ClassList, ClassSummary, Column, CurveSeries, Curves, Plots, Predictor, Report, ScoreJob, ScoreResult } from "../types.d.ts" */

const MAX_PREDICTORS = 100;
const MAX_CLASSES = 20;

/** @type {Record<string, Omit<CurveSeries, "points">>} */
const SERIES = {
  library: { name: "Concepts", style: () => ({ colour: colour("series-0"), dash: "solid", symbol: "circle" }) },
  random_control: { name: "Random directions", style: () => ({ colour: colour("random"), dash: "dash", symbol: "diamond-open" }) },
};

/** @param {ScoreJob} job */
export async function scoreResult(job) {
  const [result, curves, plots] = await Promise.all([
    /** @type {Promise<ScoreResult>} */ (get(job.links.result)),
    /** @type {Promise<Curves>} */ (get(job.links.curves)),
    /** @type {Promise<Plots>} */ (get(job.links.plots)),
  ]);
  /** @type {Predictor[]} */
  const predictors = await getAll(job.links.predictors, MAX_PREDICTORS);
  const { report } = result;
  return [
    notesNotice(job),
    headline(report),
    warningsNotice(report.warnings),
    curvesSection(curves),
    valuesSection(report),
    classesSection(job),
    classifiers(predictors),
    downloads(job, result, curves, plots),
  ];
}

/** @param {Report} report */
function headline(report) {
  const interval = el("span", { class: "score-interval" }, formatHalfWidth(report.iis_low, report.iis_high));
  const score = el(
    "div",
    { class: "score" },
    el("p", { class: "score-name" }, "IIS"),
    el("p", { class: "score-value" }, formatNumber(report.iis), " ", interval),
    scoreScale(report),
  );
  /**
   * @param {string} name
   * @param {string} value
   * @param {string} note
   */
  const detail = (name, value, note) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), " ", el("span", { class: "help" }, note)));
  const deviation = isMissing(report.iis_random_sd) ? "" : `sd ${formatNumber(report.iis_random_sd)}`;
  const details = el(
    "dl",
    { class: "score-details" },
    detail("Random directions", formatNumber(report.iis_random_mean), deviation),
    detail("Concept gain", formatSigned(report.concept_gain), formatInterval(report.concept_gain_low, report.concept_gain_high)),
    detail("Accuracy of the representation", formatPercent(report.accuracy_representation), `chance ${formatPercent(report.chance)}`),
  );
  const sentences = describeReport(report).map((sentence) => el("p", {}, sentence));
  return el("section", { class: "headline", "aria-label": "Score" }, score, details, el("div", { class: "score-sentences" }, sentences));
}

/** @param {Curves} curves */
function curvesSection(curves) {
  const series = curves.data.map(({ name, points }) => ({ ...(SERIES[name] ?? { name }), points }));
  return section(
    "curve",
    "Accuracy retained over sparsity",
    el("p", { class: "help" }, "IIS is the area under the solid line. Shaded: 95 % intervals."),
    curvePlot(series, describeCurves(series)),
    curveTable("Curve points", series),
  );
}

/** @param {Report} report */
function valuesSection(report) {
  const few = Object.entries(report.few_concepts ?? {}).map(([count, accuracy]) => [`Accuracy with ${count} effective concepts`, formatPercent(accuracy), ""]);
  const accuracyInterval = formatPercentInterval(report.accuracy_representation_low, report.accuracy_representation_high);
  const rows = [
    ["IIS", formatNumber(report.iis), formatInterval(report.iis_low, report.iis_high)],
    ["IIS, random directions", formatNumber(report.iis_random_mean), ""],
    ["IIS, random directions, standard deviation", formatNumber(report.iis_random_sd), ""],
    ["Concept gain", formatSigned(report.concept_gain), formatInterval(report.concept_gain_low, report.concept_gain_high)],
    ["IIS, chance-corrected", formatNumber(report.iis_chance_corrected), ""],
    ["IIS over log k", formatNumber(report.iis_log), ""],
    ["IIS over log k, random directions", formatNumber(report.iis_log_random), ""],
    ["IIS by the authors' trapezoid rule", formatNumber(report.iis_authors), ""],
    ["Accuracy of the representation", formatPercent(report.accuracy_representation), accuracyInterval],
    ...few,
  ].filter(([, value]) => value !== "–");
  /** @type {Column<string[]>[]} */
  const columns = [["", ([name]) => name], ["Value", ([, value]) => value, "number"], ["95 % interval", ([, , interval]) => interval, "number"]];
  return section("values", "All values", el("p", { class: "help" }, describeCounts(report)), table("All values of the report", columns, rows));
}

/** @param {Report} report */
function describeCounts({ train_count: train, test_count: test = 0, class_names: classes = [], dimension = 0 }) {
  if (isMissing(train)) return "";
  const counts = [
    formatCount(train, "training image"),
    formatCount(test, "test image"),
    formatCount(classes.length, "class", "classes"),
    `representation of ${formatCount(dimension, "dimension")}`,
  ];
  return `${counts.join(", ")}.`;
}

/**
 * Accuracy by class; a worker computes it, and the rest of the page is shown before.
 * @param {ScoreJob} job
 */
function classesSection(job) {
  if (job.protocol !== "exact") return null;
  const region = el("div");
  queueMicrotask(() =>
    loadInto(region, "Loading the classes …", async () => {
      /** @type {ClassList} */
      const { data, kept, concept_count: count } = await get(job.links.classes);
      /** @type {Column<ClassSummary>[]} */
      const columns = [
        ["Class", (row) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(row.class)}` }, row.class)],
        ["Test images", (row) => formatNumber(row.test_images, 0), "number"],
        ["Whole representation", (row) => formatPercent(row.accuracy.representation), "number"],
        [`${kept} of ${count} concepts`, (row) => formatPercent(row.accuracy.interpretation), "number"],
      ];
      const worst = data.toSorted((first, second) => first.accuracy.interpretation - second.accuracy.interpretation).slice(0, MAX_CLASSES);
      const help = `The ${MAX_CLASSES} classes with the lowest accuracy from kept concepts, of ${data.length}.`;
      return [data.length > MAX_CLASSES ? el("p", { class: "help" }, help) : null, table("Accuracy by class", columns, worst)];
    }),
  );
  return section("per-class", "Accuracy by class", region);
}

/** @param {Predictor[]} predictors */
function classifiers(predictors) {
  if (!predictors.length) return null;
  /**
   * @param {Predictor} predictor
   * @param {string} format
   */
  const file = ({ id, kept, links }, format) =>
    el("a", { href: links[format], download: `${id}.${format}`, "aria-label": `Classifier with ${formatCount(kept, "concept")}, ${format}` }, format);
  /** @type {Column<Predictor>[]} */
  const columns = [
    ["Concepts kept", (predictor) => formatNumber(predictor.kept, 0), "number"],
    ["Accuracy", (predictor) => formatPercent(predictor.accuracy), "number"],
    ["ARR", (predictor) => formatNumber(predictor.arr), "number"],
    ["Files", (predictor) => el("span", {}, file(predictor, "safetensors"), " ", file(predictor, "onnx"))],
  ];
  const rows = predictors.toSorted((first, second) => second.kept - first.kept);
  const help = "Each point of the curve is a classifier that predicts from its kept concepts alone.";
  return el("details", {}, el("summary", {}, "Download classifiers"), el("p", { class: "help" }, help), table("Classifiers", columns, rows));
}

/**
 * @param {ScoreJob} job
 * @param {ScoreResult} result
 * @param {Curves} curves
 * @param {Plots} plots
 */
function downloads(job, result, curves, plots) {
  const figures = plots.data.map(({ name, format, links }) =>
    downloadItem(links.self, `${name === "arr" ? "ARR figure" : "Accuracy figure"}, ${format.toUpperCase()}`, `${job.id}-${name}.${format}`),
  );
  const { library } = result.links;
  return section(
    "downloads",
    "Downloads",
    downloadList(
      figures,
      downloadItem(curves.links.csv, "Curve points, CSV", `${job.id}-curves.csv`),
      downloadItem(result.links.self, "Report, JSON", `${job.id}.json`),
      library ? downloadItem(`${library}/download`, "Concept library, safetensors", `${result.library}.safetensors`) : null,
    ),
    el("p", { class: "help" }, "Job ", el("code", {}, job.id), `, submitted ${formatTime(job.created_at)}, finished ${formatTime(job.succeeded_at)}.`),
  );
}
