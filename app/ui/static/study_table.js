// Table of a study's results, with downloads.

import { downloadItem, downloadList, el, emptyState } from "./dom.js";
import { capitalise, formatCount, formatGain, formatHalfWidth, formatNumber, formatPercent } from "./formatting.js";
import { commonQuantityName, describeVerdict, quantityName } from "./report_formatting.js";
import { sortableTable } from "./sortable_table.js";

/** @import { SortableColumn, Study, StudyGrid, StudyRow, TableView } from "../types.d.ts" */

/** @type {Record<string, {title: string | ((quantity: string) => string), available: (grid: StudyGrid, rows: StudyRow[]) => boolean}>} */
const FIGURES = {
  iis_accuracy: { title: (quantity) => `IIS against ${quantity}`, available: () => true },
  gain_accuracy: { title: (quantity) => `Gains against ${quantity}`, available: () => true },
  evolution: { title: "Evolution", available: (grid) => grid.evolution },
  concept_counts: { title: "Concept counts", available: (_, rows) => hasSeveralCounts(rows) },
  sparsity_grids: { title: "Sparsity grids", available: (grid) => grid.sparsity_grids.length > 0 },
  agreement: { title: "Agreement of libraries", available: (grid) => grid.libraries.length > 1 },
};

/** @type {SortableColumn<StudyRow>} */
const MODEL = { heading: "Model", value: (row) => row.label, cell: (row) => el("a", { href: `/jobs/${row.job}` }, row.label) };

/** @type {[keyof StudyRow, SortableColumn<StudyRow>][]} */
const VARIED = [
  ["epoch", { heading: "Epoch", value: (row) => row.epoch, cell: (row) => row.epoch ?? "–", kind: "number" }],
  ["dataset", { heading: "Data set", value: (row) => row.dataset_name, cell: (row) => row.dataset_name }],
  ["library", { heading: "Library", value: (row) => row.library, cell: (row) => row.library }],
  ["concept_count", { heading: "M", value: (row) => row.concept_count, cell: (row) => row.concept_count, kind: "number" }],
  ["library_dataset", { heading: "Library from", value: (row) => row.library_dataset_name ?? "", cell: (row) => row.library_dataset_name ?? "same data set" }],
  ["edition", { heading: "Edition", value: (row) => row.edition, cell: (row) => row.edition, kind: "number" }],
  ["quantity", { heading: "Retained", value: (row) => quantityName(row), cell: (row) => quantityName(row) }],
  ["seed", { heading: "Seed", value: (row) => row.seed, cell: (row) => row.seed, kind: "number" }],
];

/**
 * @param {StudyRow[]} rows
 * @returns {SortableColumn<StudyRow>[]}
 */
const scores = (rows) => [
  { heading: capitalise(commonQuantityName(rows)), value: (row) => row.accuracy, cell: formatAccuracy, kind: "number" },
  { heading: "IIS", value: (row) => row.iis, cell: formatIis, kind: "number" },
  { heading: "5 to 30 concepts", value: (row) => row.few_concepts_mean, cell: (row) => formatPercent(row.few_concepts_mean), kind: "number" },
  {
    heading: "Few-concept gain over matched",
    value: (row) => row.few_gain_matched,
    cell: (row) => formatGain(row.few_gain_matched, row.few_gain_matched_low, row.few_gain_matched_high),
    kind: "number",
  },
  {
    heading: "IIS gain over matched",
    value: (row) => row.gain_matched,
    cell: (row) => formatGain(row.gain_matched, row.gain_matched_low, row.gain_matched_high),
    kind: "number",
  },
  {
    heading: "IIS gain over isotropic",
    value: (row) => row.gain_isotropic,
    cell: (row) => formatGain(row.gain_isotropic, row.gain_isotropic_low, row.gain_isotropic_high),
    kind: "number",
  },
  { heading: "Verdict", value: (row) => row.verdict ?? "", cell: formatVerdict },
  { heading: "IIS over log k", value: (row) => row.iis_log, cell: (row) => formatNumber(row.iis_log), kind: "number" },
];

/** @param {StudyRow} row */
function formatAccuracy({ accuracy, accuracy_low: low, accuracy_high: high }) {
  return `${formatPercent(accuracy)} ± ${formatNumber(50 * (high - low), 1)}`;
}

/** @param {StudyRow} row */
function formatIis({ near_chance: nearChance, iis, iis_low: low, iis_high: high }) {
  return nearChance ? "near chance" : `${formatNumber(iis)} ${formatHalfWidth(low, high)}`;
}

/** @param {StudyRow} row */
function formatVerdict({ verdict }) {
  return verdict ? describeVerdict({ code: verdict }).title : "–";
}

/** @param {StudyRow[]} rows */
function hasSeveralCounts(rows) {
  /** @type {Map<string, Set<number>>} */
  const counts = new Map();
  for (const { library, concept_count: count } of rows) counts.set(library, (counts.get(library) ?? new Set()).add(count));
  return [...counts.values()].some((ofLibrary) => ofLibrary.size > 1);
}

/**
 * The columns whose values differ between rows, besides model and scores.
 * @param {StudyRow[]} rows
 */
function columnsFor(rows) {
  const varied = VARIED.filter(([name]) => new Set(rows.map((row) => row[name])).size > 1).map(([, column]) => column);
  return [MODEL, ...varied, ...scores(rows)];
}

/**
 * @param {Study} study
 * @param {StudyRow[]} rows
 * @param {TableView} view
 */
export function resultsTable(study, rows, view) {
  if (!rows.length) return [emptyState("No results yet", "Results appear here as jobs finish.")];
  const figures = Object.entries(FIGURES).filter(([, { available }]) => available(study.grid, rows));
  /**
   * @param {string} name
   * @param {string} format
   */
  const figureLink = (name, format) => el("a", { href: study.links[`figures/${name}.${format}`] }, format.toUpperCase());
  const quantity = commonQuantityName(rows);
  const items = figures.map(([name, { title }]) => el("li", {}, `${typeof title === "string" ? title : title(quantity)}: `, figureLink(name, "png"), ", ", figureLink(name, "svg")));
  return [
    el("h2", {}, `Table of ${formatCount(rows.length, "result")}`),
    downloadList(downloadItem(study.links["table.csv"], "CSV"), downloadItem(study.links["table.parquet"], "Parquet"), items),
    el("p", { class: "help" }, "± is half of a 95 % interval. Select a heading to sort by it."),
    ...sortableTable(`Results of ${study.name}`, columnsFor(rows), rows, view),
  ];
}
