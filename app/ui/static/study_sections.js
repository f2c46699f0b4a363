// Statistics of a study as sections of the page: IIS against accuracy, evolution over training, concept counts, sparsity grids, agreement, paired differences.

import { bandedLine, colour, seriesStyle, translucent } from "./charts.js";
import { el, section, table } from "./dom.js";
import { escapeLabel } from "./escaping.js";
import { capitalise, formatNumber, formatPercent } from "./formatting.js";
import { quantityName } from "./report_formatting.js";
import { describeSetting, formatEstimate, formatMeasurement, nearChanceRanges } from "./study_formatting.js";
import { MAX_LEGEND_NAMES, discardRemovedPlots, lazyPlot } from "./study_plots.js";
import { relationSection } from "./study_relation.js";
import { excludedModels, settingView, undefinedReasons } from "./study_setting.js";

/**
 * @import { Analysis, Column, ConceptCounts, Evolution, EvolutionPoint, LibraryAgreement, Measurement, PairedModel, PairedModels,
 *   SparsityGrids } from "../types.d.ts"
 */

/** @param {Analysis} analysis */
export function analysisSections(analysis) {
  discardRemovedPlots();
  return [
    warnings(analysis.warnings),
    relationSection(analysis.relation),
    evolutionSection(analysis.evolution),
    conceptCountSection(analysis.concept_counts),
    sparsityGridSection(analysis.sparsity_grids),
    agreementSection(analysis.agreement),
    pairedSection("transfer", "Libraries from other data sets", analysis.transfer, "own", "other"),
    pairedSection("untrained", "Trained and untrained", analysis.untrained, "trained", "untrained"),
  ];
}

/** @param {string[]} sentences */
function warnings(sentences) {
  if (!sentences.length) return null;
  return el("div", { class: "notice warning" }, el("ul", {}, sentences.map((sentence) => el("li", {}, sentence))));
}

/** @param {Evolution[]} runs */
function evolutionSection(runs) {
  if (!runs.length) return null;
  const help = "Shaded background: the representation is near chance and IIS is not meaningful. Bands: 95 % intervals.";
  return section("evolution", "Evolution over training", el("p", { class: "help" }, help), runs.map(evolutionView));
}

/** @param {Evolution} run */
function evolutionView(run) {
  const { points, epochs_given: hasEpochs } = run;
  const unit = hasEpochs ? "epoch" : "checkpoint";
  const quantity = quantityName(run);
  /**
   * @param {string} name
   * @param {(point: EvolutionPoint) => Measurement | null} valueOf
   * @param {number} index
   */
  const line = (name, valueOf, index) => {
    const values = points.flatMap((point) => {
      const value = valueOf(point);
      return value ? [{ point, value }] : [];
    });
    if (!values.length) return [];
    const accessors = {
      x: (/** @type {typeof values[number]} */ { point }) => point.epoch,
      y: (/** @type {typeof values[number]} */ { value }) => value.value,
      low: (/** @type {typeof values[number]} */ { value }) => value.low,
      high: (/** @type {typeof values[number]} */ { value }) => value.high,
      tooltip: (/** @type {typeof values[number]} */ { point, value }) =>
        `${escapeLabel(point.label)}, ${unit} ${point.epoch}<br>${name} ${formatMeasurement(value)}`,
    };
    return bandedLine(name, values, accessors, seriesStyle(index));
  };
  const descriptions = points.map(({ epoch, accuracy, iis, near_chance: nearChance }) => {
    const score = nearChance || !iis ? "none, near chance" : formatNumber(iis.value);
    return `${unit} ${epoch}: ${quantity} ${formatPercent(accuracy.value)}, IIS ${score}`;
  });
  const makePlot = () => ({
    traces: [
      ...line("IIS", ({ iis, near_chance: nearChance }) => (nearChance ? null : iis), 0),
      ...line(capitalise(quantity), ({ accuracy }) => accuracy, 1),
    ],
    layout: {
      xaxis: { title: hasEpochs ? "Epoch" : "Checkpoint" },
      yaxis: { title: `IIS, ${quantity}`, rangemode: "tozero" },
      hovermode: "closest",
      shapes: nearChanceRanges(points).map(([x0, x1]) => ({
        type: "rect",
        xref: "x",
        yref: "paper",
        x0,
        x1,
        y0: 0,
        y1: 1,
        line: { width: 0 },
        fillcolor: translucent(colour("random"), 0.22),
        layer: "below",
      })),
    },
  });
  return settingView(run, el("p", {}, run.sentence), lazyPlot(`Evolution over training. ${descriptions.join("; ")}.`, makePlot));
}

/** @param {ConceptCounts[]} settings */
function conceptCountSection(settings) {
  if (!settings.length) return null;
  return section("concept-counts", "Concept counts", settings.map(conceptCountView));
}

/** @param {ConceptCounts} setting */
function conceptCountView(setting) {
  const { models, order } = setting;
  const makePlot = () => ({
    traces: models.flatMap(({ label, values }, index) => {
      /** @typedef {{concept_count: number, iis: Measurement}} Value */
      const accessors = {
        x: (/** @type {Value} */ value) => value.concept_count,
        y: (/** @type {Value} */ value) => value.iis.value,
        low: (/** @type {Value} */ value) => value.iis.low,
        high: (/** @type {Value} */ value) => value.iis.high,
        tooltip: (/** @type {Value} */ value) => `${escapeLabel(label)}, M = ${value.concept_count}<br>IIS ${formatMeasurement(value.iis)}`,
      };
      return bandedLine(label, values, accessors, seriesStyle(index));
    }),
    layout: {
      xaxis: { title: "M, number of concepts", type: "log", tickvals: setting.concept_counts },
      yaxis: { title: "IIS" },
      hovermode: "closest",
      showlegend: models.length <= MAX_LEGEND_NAMES,
    },
  });
  /** @type {Column<typeof order[number]>[]} */
  const columns = [
    ["M", (row) => row.concept_count, "number"],
    [`Spearman’s ρ with M = ${setting.default}`, (row) => formatEstimate(row.spearman), "number"],
    ["Kendall’s τ", (row) => formatEstimate(row.kendall), "number"],
    ["Models", (row) => row.n, "number"],
  ];
  return settingView(
    setting,
    lazyPlot(`IIS by number of concepts for ${models.map(({ label }) => label).join(", ")}.`, makePlot),
    table(`Order of the models by M, ${describeSetting(setting)}`, columns, order),
    undefinedReasons(order.map(({ spearman }) => spearman)),
    excludedModels(setting),
  );
}

/** @param {SparsityGrids[]} settings */
function sparsityGridSection(settings) {
  if (!settings.length) return null;
  /** @type {Column<SparsityGrids["grids"][number]>[]} */
  const columns = [
    ["Sparsities", (grid) => grid.sparsities.join(", ")],
    ["Spearman’s ρ with the default grid", (grid) => formatEstimate(grid.spearman), "number"],
    ["Kendall’s τ", (grid) => formatEstimate(grid.kendall), "number"],
    ["Interpolated sparsities", (grid) => grid.interpolated.join(", ") || "none"],
  ];
  const help = "Area under the ARR curve over each grid, and rank correlation of the models with the default grid.";
  const views = settings.map((setting) => {
    const sentences = setting.grids.flatMap(({ sentence }) => (sentence ? [el("p", { class: "help" }, sentence)] : []));
    return settingView(
      setting,
      table(`Sparsity grids, ${describeSetting(setting)}`, columns, setting.grids),
      sentences,
      undefinedReasons(setting.grids.map(({ spearman }) => spearman)),
      excludedModels(setting),
    );
  });
  return section("sparsity-grids", "Sparsity grids", el("p", { class: "help" }, help), views);
}

/** @param {LibraryAgreement[]} settings */
function agreementSection(settings) {
  if (!settings.length) return null;
  /** @type {Column<LibraryAgreement["pairs"][number]>[]} */
  const columns = [
    ["Library A", (pair) => pair.a],
    ["Library B", (pair) => pair.b],
    ["Spearman’s ρ of IIS", (pair) => formatEstimate(pair.spearman), "number"],
    ["Kendall’s τ", (pair) => formatEstimate(pair.kendall), "number"],
    ["Models", (pair) => pair.n, "number"],
  ];
  const help = "Rank correlation of the models' IIS between two libraries.";
  const views = settings.map((setting) =>
    settingView(
      setting,
      table(`Agreement, ${describeSetting(setting)}`, columns, setting.pairs),
      undefinedReasons(setting.pairs.map(({ spearman }) => spearman)),
      excludedModels(setting),
    ),
  );
  return section("agreement", "Agreement of libraries", el("p", { class: "help" }, help), views);
}

/** @typedef {"own" | "other" | "trained" | "untrained"} Way */

/**
 * Models scored in two ways, with the difference.
 * @param {string} id
 * @param {string} heading
 * @param {PairedModels[]} settings
 * @param {Way} first
 * @param {Way} second
 */
function pairedSection(id, heading, settings, first, second) {
  if (!settings.length) return null;
  /** @type {Column<PairedModel>[]} */
  const columns = [
    ["Model", (model) => model.label],
    [`IIS, ${first}`, (model) => formatMeasurement(model[first]), "number"],
    [`IIS, ${second}`, (model) => formatMeasurement(model[second]), "number"],
    ["Difference", (model) => (model.difference ? formatMeasurement(model.difference) : (model.reason ?? "–")), "number"],
  ];
  const views = settings.map((setting) =>
    settingView(
      setting,
      setting.sentence ? el("p", {}, setting.sentence) : null,
      table(`${heading}, ${describeSetting(setting)}`, columns, setting.models),
      excludedModels(setting),
    ),
  );
  return section(id, heading, views);
}
