// Statistics of a study: IIS against accuracy, with correlations.

import { colour, seriesStyle, translucent } from "./charts.js";
import { el, section, table } from "./dom.js";
import { escapeLabel } from "./escaping.js";
import { formatInterval, formatNumber, formatPercent } from "./formatting.js";
import { describeSetting, formatEstimate, formatMeasurement } from "./study_formatting.js";
import { MAX_LEGEND_NAMES, lazyPlot } from "./study_plots.js";
import { excludedModels, settingView, undefinedReasons } from "./study_setting.js";

/** @import { Column, Correlations, Measurement, Relation, RelationPoint, Setting } from "../types.d.ts" */

/** @param {Relation[]} relations */
export function relationSection(relations) {
  if (!relations.length) return null;
  return section("relation", "IIS against accuracy", relations.map(relationView));
}

/** @param {Relation} relation */
function relationView(relation) {
  /** @type {[string, Correlations][]} */
  const correlations = [];
  if (relation.accuracy) correlations.push(["representation accuracy", relation.accuracy]);
  if (relation.given_accuracy) correlations.push(["published accuracy", relation.given_accuracy]);
  const points = relation.points.flatMap((point) => (point.iis ? [{ ...point, iis: point.iis }] : []));
  const descriptions = points.map(({ label, iis, accuracy }) => `${label} ${formatNumber(iis.value)} at ${formatPercent(accuracy.value)}`);
  const makePlot = () => ({
    traces: points.map((point, index) => scatterTrace(point, point.iis, index, points.length > MAX_LEGEND_NAMES)),
    layout: {
      xaxis: { title: "Accuracy of the representation", tickformat: ".0%" },
      yaxis: { title: "IIS" },
      hovermode: "closest",
      showlegend: points.length <= MAX_LEGEND_NAMES,
    },
  });
  return settingView(
    relation,
    correlations.map(([, { sentence }]) => el("p", {}, sentence)),
    points.length ? lazyPlot(`IIS against accuracy: ${descriptions.join("; ")}.`, makePlot) : null,
    relation.n >= 2 ? correlationTable(relation, correlations) : null,
    excludedModels(relation),
  );
}

/**
 * @param {Setting} setting
 * @param {[string, Correlations][]} correlations by the name of the accuracy
 */
function correlationTable(setting, correlations) {
  const rows = correlations.flatMap(([name, values]) => [
    { name: `Spearman’s ρ with ${name}`, estimate: values.spearman },
    { name: `Kendall’s τ with ${name}`, estimate: values.kendall },
    { name: `Partial ρ with ${name}, given the denominator`, estimate: values.partial.denominator },
    { name: `Partial ρ with ${name}, given the random control’s IIS`, estimate: values.partial.random },
    { name: `ρ of the random control’s IIS with ${name}`, estimate: values.random_control },
    ...values.leave_one_family_out.map(({ family, spearman }) => ({ name: `ρ with ${name}, without ${family}`, estimate: spearman })),
  ]);
  /** @type {Column<typeof rows[number]>[]} */
  const columns = [
    ["Correlation", (row) => row.name],
    ["Value (95 % interval)", (row) => formatEstimate(row.estimate), "number"],
    ["Models", (row) => row.estimate?.n ?? "–", "number"],
  ];
  return [table(`Correlations, ${describeSetting(setting)}`, columns, rows), undefinedReasons(rows.map(({ estimate }) => estimate))];
}

/**
 * @param {RelationPoint} point
 * @param {Measurement} iis
 * @param {number} index
 * @param {boolean} labelled label the point itself instead of listing it in the legend
 */
function scatterTrace(point, iis, index, labelled) {
  const { colour: shade, symbol } = seriesStyle(index);
  const label = escapeLabel(point.label);
  /** @param {Measurement} measurement */
  const errorBars = ({ value, low, high }) => ({
    type: "data",
    symmetric: false,
    array: [high - value],
    arrayminus: [value - low],
    color: translucent(shade, 0.6),
    thickness: 1.2,
    width: 3,
  });
  const accuracyInterval = formatInterval(point.accuracy.low, point.accuracy.high);
  const tooltip = [label, `IIS ${formatMeasurement(iis)}`, `accuracy ${formatPercent(point.accuracy.value)} (${accuracyInterval})`];
  const text = labelled
    ? { mode: "markers+text", texttemplate: label, textposition: "top center", textfont: { size: 10.5 } }
    : { mode: "markers" };
  return {
    x: [point.accuracy.value],
    y: [iis.value],
    name: label,
    ...text,
    marker: { color: shade, symbol, size: 10, line: { color: colour("background"), width: 1 } },
    error_x: errorBars(point.accuracy),
    error_y: errorBars(iis),
    text: [tooltip.join("<br>")],
    hovertemplate: "%{text}<extra></extra>",
  };
}
