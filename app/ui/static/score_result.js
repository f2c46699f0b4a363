// Result of a score job: verdict, headline numbers, curves, classes, configuration, all values, downloads.

import { get, getAll } from "./api.js";
import { colour } from "./charts.js";
import { configurationSection } from "./configuration.js";
import { classResults } from "./confusion.js";
import { describeCurves } from "./curve_points.js";
import { curvePlot, curveTable } from "./curves.js";
import { downloadItem, downloadList, el, loadInto, section, table } from "./dom.js";
import { capitalise, formatCount, formatNumber, formatPercent, formatTime } from "./formatting.js";
import { infoMark } from "./glossary.js";
import { headline, verdictBanner } from "./headline.js";
import { describeElements } from "./job_formatting.js";
import { notesNotice } from "./notes.js";
import { quantityName } from "./report_formatting.js";
import { panelTable, valuesTable } from "./score_values.js";
import { isShared } from "./share_access.js";
import { warningsNotice } from "./warnings.js";

/** @import { Column, CurveSeries, Curves, Plots, Predictor, Report, ScoreJob, ScoreResult } from "../types.d.ts" */

const MAX_PREDICTORS = 100;

/** @type {Record<string, Omit<CurveSeries, "points">>} */
const SERIES = {
  library: { name: "Concepts", style: () => ({ colour: colour("series-0"), dash: "solid", symbol: "circle" }) },
  matched: { name: "Matched directions", style: () => ({ colour: colour("series-4"), dash: "dash", symbol: "square-open" }) },
  isotropic: { name: "Any directions", style: () => ({ colour: colour("random"), dash: "dot", symbol: "diamond-open" }) },
};

/** @param {ScoreJob} job */
export async function scoreResult(job) {
  const [result, curves, plots, predictors] = await Promise.all([
    /** @type {Promise<ScoreResult>} */ (get(job.links.result)),
    /** @type {Promise<Curves>} */ (get(job.links.curves)),
    /** @type {Promise<Plots>} */ (get(job.links.plots)),
    job.links.predictors ? /** @type {Promise<Predictor[]>} */ (getAll(`${job.links.predictors}&limit=${MAX_PREDICTORS}`, MAX_PREDICTORS)) : [],
  ]);
  const { report } = result;
  const quantity = quantityName(report);
  return [
    verdictBanner(report),
    headline(report),
    warningsNotice(report.warnings),
    notesNotice(report.notes),
    curvesSection(curves, quantity),
    classesSection(job, report),
    configurationSection(job, report, result.library),
    section("more", "More numbers", valuesTable(report), panelTable(job, report), classifiers(predictors, quantity)),
    downloads(job, result, curves, plots),
  ];
}

/**
 * @param {Curves} curves
 * @param {string} quantity that is retained
 */
function curvesSection(curves, quantity) {
  const series = curves.data.map(({ name, points }) => ({ ...(SERIES[name] ?? { name }), points }));
  return section(
    "curve",
    `${capitalise(quantity)} retained over sparsity`,
    el("p", { class: "help" }, "IIS is the area under the solid line of ARR ", infoMark("ARR"), ". Shaded: 95 % intervals."),
    curvePlot(series, quantity, describeCurves(series, capitalise(quantity))),
    curveTable("Curve points", series, quantity),
  );
}

/**
 * Confusion matrices and accuracy by class; a worker computes them, and the rest of the page is shown before.
 * @param {ScoreJob} job
 * @param {Report} report
 */
function classesSection(job, { quantity }) {
  if (job.protocol !== "exact") return null;
  const region = el("div");
  queueMicrotask(() => loadInto(region, "Loading the classes …", () => classResults(job)));
  return section("per-class", quantity === "mean_average_precision" ? "Average precision by label" : "Confusions and accuracy by class", region);
}

/**
 * @param {Predictor[]} predictors
 * @param {string} quantity that is retained
 */
function classifiers(predictors, quantity) {
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
    [capitalise(quantity), (predictor) => formatPercent(predictor.accuracy), "number"],
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
  const { report } = result;
  const quantity = capitalise(quantityName(report));
  const figures = plots.data.map(({ name, format, links }) =>
    downloadItem(links.self, `${name === "arr" ? "ARR figure" : `${quantity} figure`}, ${format.toUpperCase()}`, `${job.id}-${name}.${format}`),
  );
  const library = isShared() ? null : result.links.library;
  const elements = report.library?.elements;
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
    elements ? el("p", { class: "help" }, `Crops: ${describeElements(elements)}.`) : null,
  );
}
