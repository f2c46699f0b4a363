// Result of a score job: verdict, accuracy at few concepts and IIS with both controls, curves, all values, accuracy by class, downloads.

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
import { describeElements } from "./job_formatting.js";
import { notesNotice } from "./notes.js";
import { panelRows } from "./panel_rows.js";
import { describeReport, describeVerdict, quantityTitle } from "./report_formatting.js";
import { scoreScale, valueScale } from "./score_scale.js";
import { warningsNotice } from "./warnings.js";

/** @import { ClassList, ClassSummary, Column, CurveSeries, Curves, Plots, Predictor, Report, ScoreJob, ScoreResult } from "../types.d.ts" */

const MAX_PREDICTORS = 100;
const MAX_CLASSES = 20;

/** @type {Record<string, Omit<CurveSeries, "points">>} */
const SERIES = {
  library: { name: "Concepts", style: () => ({ colour: colour("series-0"), dash: "solid", symbol: "circle" }) },
  matched: { name: "Matched directions", style: () => ({ colour: colour("series-4"), dash: "dash", symbol: "square-open" }) },
  isotropic: { name: "Any directions", style: () => ({ colour: colour("random"), dash: "dot", symbol: "diamond-open" }) },
};

/** @type {["matched" | "isotropic", string][]} */
const CONTROLS = [
  ["matched", "matched directions"],
  ["isotropic", "any directions"],
];

/** @typedef {[control: string, gain: string, interval: string][]} Gains */

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
    verdictBanner(report),
    headline(report),
    notesNotice(report.notes),
    warningsNotice(report.warnings),
    curvesSection(curves, quantityTitle(report)),
    valuesSection(report),
    classesSection(job, report),
    panelSection(job, report),
    configurationSection(report),
    classifiers(predictors),
    downloads(job, result, curves, plots),
  ];
}

/** @param {Report} report */
function verdictBanner({ verdict }) {
  if (!verdict) return null;
  const { symbol, tone, title } = describeVerdict(verdict);
  const next = verdict.next?.length
    ? el("details", {}, el("summary", {}, "What can be tried"), el("ul", {}, verdict.next.map((text) => el("li", {}, text))))
    : null;
  const heading = el("h2", { id: "verdict" }, el("span", { class: "verdict-symbol", "aria-hidden": "true" }, symbol), " ", title);
  return el("section", { class: `verdict ${tone}`, "aria-labelledby": "verdict" }, heading, el("p", {}, verdict.sentence), next);
}

/** @param {Report} report */
function headline(report) {
  const { isotropic = null, matched = null } = report.controls ?? {};
  /**
   * @param {string} name
   * @param {string} value
   * @param {string} interval
   * @param {Element} scale
   * @param {Gains} gains over matched and over any directions
   */
  const score = (name, value, interval, scale, gains) =>
    el(
      "div",
      { class: "score" },
      el("p", { class: "score-name" }, name),
      el("p", { class: "score-value" }, value, " ", el("span", { class: "score-interval" }, interval)),
      scale,
      el("dl", { class: "score-details" }, gains.map(([control, gain, bounds]) => detail(`Over ${control}`, gain, bounds))),
    );
  /**
   * @param {string} name
   * @param {string} value
   * @param {string} note
   */
  const detail = (name, value, note) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), " ", el("span", { class: "help" }, note)));
  /** @type {Gains} */
  const fewGains = CONTROLS.map(([name, title]) => {
    const control = report.controls?.[name];
    return [title, formatSigned(control?.few_gain), formatInterval(control?.few_gain_low, control?.few_gain_high)];
  });
  /** @type {Gains} */
  const gains = CONTROLS.map(([name, title]) => {
    const control = report.controls?.[name];
    return [title, formatSigned(control?.gain), formatInterval(control?.gain_low, control?.gain_high)];
  });
  const few = { value: report.few_concepts_mean, low: report.few_concepts_mean_low, high: report.few_concepts_mean_high };
  const sentences = [
    ...describeReport(report),
    `${quantityTitle(report)} of the representation ${formatPercent(report.accuracy_representation)}, of a constant prediction ${formatPercent(report.chance)}.`,
  ].map((sentence) => el("p", {}, sentence));
  return el(
    "section",
    { class: "headline", "aria-label": "Score" },
    score(
      `${quantityTitle(report)} with 5 to 30 concepts`,
      formatNumber(few.value),
      formatHalfWidth(few.low, few.high),
      valueScale(few, { isotropic: isotropic?.few_mean, matched: matched?.few_mean }),
      fewGains,
    ),
    score("IIS", formatNumber(report.iis), formatHalfWidth(report.iis_low, report.iis_high), scoreScale(report), gains),
    el("div", { class: "score-sentences" }, sentences),
  );
}

/**
 * @param {Curves} curves
 * @param {string} quantity that is retained
 */
function curvesSection(curves, quantity) {
  const series = curves.data.map(({ name, points }) => ({ ...(SERIES[name] ?? { name }), points }));
  return section(
    "curve",
    `${quantity} retained over sparsity`,
    el("p", { class: "help" }, "IIS is the area under the solid line. Shaded: 95 % intervals."),
    curvePlot(series, describeCurves(series)),
    curveTable("Curve points", series),
  );
}

/** @param {Report} report */
function valuesSection(report) {
  const quantity = quantityTitle(report);
  const few = Object.entries(report.few_concepts ?? {}).map(([count, accuracy]) => [`${quantity} with ${count} concepts`, formatPercent(accuracy), ""]);
  const accuracyInterval = formatPercentInterval(report.accuracy_representation_low, report.accuracy_representation_high);
  const ofControls = CONTROLS.flatMap(([name, title]) => {
    const control = report.controls?.[name];
    if (!control) return [];
    return [
      [`IIS of ${title}`, formatNumber(control.iis), formatInterval(control.iis_low, control.iis_high)],
      [`Gain in IIS over ${title}`, formatSigned(control.gain), formatInterval(control.gain_low, control.gain_high)],
      [`Gain over ${title}, of the headroom`, formatSigned(control.headroom_gain), formatInterval(control.headroom_gain_low, control.headroom_gain_high)],
      [`${quantity} with 5 to 30 of ${title}`, formatPercent(control.few_mean), formatPercentInterval(control.few_mean_low, control.few_mean_high)],
      [`Gain in that over ${title}`, formatSigned(control.few_gain), formatInterval(control.few_gain_low, control.few_gain_high)],
      [`IIS over log k of ${title}`, formatNumber(control.iis_log), formatInterval(control.iis_log_low, control.iis_log_high)],
    ];
  });
  const fewInterval = formatPercentInterval(report.few_concepts_mean_low, report.few_concepts_mean_high);
  const rows = [
    [`${quantity} with 5 to 30 concepts, mean`, formatPercent(report.few_concepts_mean), fewInterval],
    ["IIS", formatNumber(report.iis), formatInterval(report.iis_low, report.iis_high)],
    ...ofControls,
    ["IIS, chance-corrected", formatNumber(report.iis_chance_corrected), formatInterval(report.iis_chance_corrected_low, report.iis_chance_corrected_high)],
    ["IIS over log k", formatNumber(report.iis_log), formatInterval(report.iis_log_low, report.iis_log_high)],
    ["IIS by the authors' trapezoid rule", formatNumber(report.iis_authors), ""],
    [`${quantity} of the representation`, formatPercent(report.accuracy_representation), accuracyInterval],
    ["Balanced accuracy of the representation", formatPercent(report.balanced?.accuracy), ""],
    ["IIS from balanced accuracy", formatNumber(report.balanced?.iis), ""],
    ...few,
  ].filter(([, value]) => value !== "–");
  /** @type {Column<string[]>[]} */
  const columns = [["", ([name]) => name], ["Value", ([, value]) => value, "number"], ["95 % interval", ([, , interval]) => interval, "number"]];
  return section("values", "All values", el("p", { class: "help" }, describeCounts(report)), table("All values of the report", columns, rows));
}

/**
 * @param {ScoreJob} job
 * @param {Report} report
 */
function panelSection(job, { panel }) {
  if (!panel) return null;
  /** @type {Column<[string, string, string]>[]} */
  const columns = [
    ["", ([name]) => name],
    ["Concepts", ([, own]) => own, "number"],
    ["Matched directions", ([, , matched]) => matched, "number"],
  ];
  const file = el("a", { href: `${job.links.self}/concept-metrics?format=csv`, download: `${job.id}-concept-metrics.csv` }, "Metrics of each concept, CSV");
  return section("panel", "Code, concepts and library", table("Measures beside the score", columns, panelRows(panel)), el("p", {}, file));
}

/** @param {Report} report */
function configurationSection({ protocol, edition, configuration }) {
  const values = Object.entries({ protocol, edition, ...configuration }).filter(([, value]) => !isMissing(value));
  /** @type {Column<[string, unknown]>[]} */
  const columns = [
    ["Setting", ([name]) => name.replaceAll("_", " ")],
    ["Value", ([, value]) => (typeof value === "object" ? JSON.stringify(value) : String(value))],
  ];
  return el("details", {}, el("summary", {}, "Configuration"), table("What the score was computed under", columns, values));
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
 * Accuracy by class, or average precision by label; a worker computes it, and the rest of the page is shown before.
 * @param {ScoreJob} job
 * @param {Report} report
 */
function classesSection(job, { quantity }) {
  const [title, noun, nouns] =
    quantity === "mean_average_precision" ? ["Average precision by label", "Label", "labels"] : ["Accuracy by class", "Class", "classes"];
  if (job.protocol !== "exact") return null;
  const region = el("div");
  queueMicrotask(() =>
    loadInto(region, "Loading the classes …", async () => {
      /** @type {ClassList} */
      const { data, kept, concept_count: count } = await get(job.links.classes);
      /** @type {Column<ClassSummary>[]} */
      const columns = [
        [noun, (row) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(row.class)}` }, row.class)],
        ["Test images", (row) => formatNumber(row.test_images, 0), "number"],
        ["Whole representation", (row) => formatPercent(row.accuracy.representation), "number"],
        [`${kept} of ${count} concepts`, (row) => formatPercent(row.accuracy.interpretation), "number"],
      ];
      const worst = data.toSorted((first, second) => first.accuracy.interpretation - second.accuracy.interpretation).slice(0, MAX_CLASSES);
      const help = `The ${MAX_CLASSES} ${nouns} with the lowest values from kept concepts, of ${data.length}.`;
      return [data.length > MAX_CLASSES ? el("p", { class: "help" }, help) : null, table(title, columns, worst)];
    }),
  );
  return section("per-class", title, region);
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
  const elements = result.report.library?.elements;
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
