// Statistics of a study: IIS and the gains over the controls against accuracy, with correlations.

import { colour, seriesStyle, translucent } from "./charts.js";
import { el, section, table } from "./dom.js";
import { escapeLabel } from "./escaping.js";
import { capitalise, formatInterval, formatNumber, formatPercent } from "./formatting.js";
import { commonQuantityName, quantityName } from "./report_formatting.js";
import { describeSetting, formatEstimate, formatMeasurement } from "./study_formatting.js";
import { MAX_LEGEND_NAMES, lazyPlot } from "./study_plots.js";
import { excludedModels, settingView, undefinedReasons } from "./study_setting.js";

/** @import { Column, Correlations, Measurement, Relation, RelationPoint, Setting } from "../types.d.ts" */

/** @param {Relation[]} relations */
export function relationSection(relations) {
  if (!relations.length) return null;
  const quantity = commonQuantityName(relations);
  const help = `A relation of IIS to ${quantity} is read beside that of matched directions, which have the library's statistics and no concepts, and beside that of the gains over them. p is adjusted over all sentences of the study (Holm).`;
  return section("relation", `IIS against ${quantity}`, el("p", { class: "help" }, help), relations.map(relationView));
}

/** @typedef {{name: string, title: string, valueOf: (point: RelationPoint) => Measurement | null}} Quantity */

/** @type {Quantity} */
const IIS = { name: "IIS", title: "IIS", valueOf: (point) => point.iis };

/** @type {Quantity[]} */
const MATCHED_GAINS = [
  { name: "few-concept gain", title: "Few-concept gain over matched", valueOf: (point) => point.few_gain_matched },
  { name: "gain in IIS", title: "Gain in IIS over matched", valueOf: (point) => point.gain_matched },
];

/** @type {Quantity} */
const ISOTROPIC_GAIN = { name: "gain in IIS", title: "Gain in IIS over isotropic", valueOf: (point) => point.gain_isotropic };

/**
 * IIS, and the gains over matched directions, or over isotropic ones where the others are not measured.
 * @param {RelationPoint[]} points
 */
function quantities(points) {
  const gains = MATCHED_GAINS.filter(({ valueOf }) => points.some(valueOf));
  return [IIS, ...(gains.length ? gains : [ISOTROPIC_GAIN].filter(({ valueOf }) => points.some(valueOf)))];
}

/**
 * A number of the models against their accuracy, or what is in its place.
 * @param {Relation} relation
 * @param {Quantity} number
 */
function accuracyPlot(relation, { name, title, valueOf }) {
  const retained = quantityName(relation);
  const points = relation.points.flatMap((point) => {
    const value = valueOf(point);
    return value ? [{ point, value }] : [];
  });
  const descriptions = points.map(({ point, value }) => `${point.label} ${formatNumber(value.value)} at ${formatPercent(point.accuracy.value)}`);
  const makePlot = () => ({
    traces: points.map(({ point, value }, index) => scatterTrace(point, [name, retained], value, index, points.length > MAX_LEGEND_NAMES)),
    layout: {
      xaxis: { title: `${capitalise(retained)} of the representation`, tickformat: ".0%" },
      yaxis: { title, zeroline: name !== "IIS" },
      hovermode: "closest",
      showlegend: points.length <= MAX_LEGEND_NAMES,
    },
  });
  return lazyPlot(`${title} against ${retained}: ${descriptions.join("; ")}.`, makePlot);
}

/** @param {Relation} relation */
function relationView(relation) {
  /** @type {[string, Correlations][]} */
  const correlations = [];
  if (relation.accuracy) correlations.push([`representation ${quantityName(relation)}`, relation.accuracy]);
  if (relation.given_accuracy) correlations.push([`published ${quantityName(relation)}`, relation.given_accuracy]);
  return settingView(
    relation,
    correlations.flatMap(([, { sentences }]) => sentences.map((sentence) => el("p", {}, sentence))),
    relation.points.length ? quantities(relation.points).map((number) => accuracyPlot(relation, number)) : null,
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
    { name: `Spearman’s ρ of IIS with ${name}`, estimate: values.spearman },
    { name: `Kendall’s τ of IIS with ${name}`, estimate: values.kendall },
    { name: `ρ of matched directions’ IIS with ${name}`, estimate: values.controls.matched },
    { name: `ρ of isotropic directions’ IIS with ${name}`, estimate: values.controls.isotropic },
    { name: `Partial ρ of IIS with ${name}, given that of matched directions`, estimate: values.partial.matched },
    { name: `Partial ρ of IIS with ${name}, given that of isotropic directions`, estimate: values.partial.isotropic },
    { name: `Partial ρ of IIS with ${name}, given the denominator`, estimate: values.partial.denominator },
    { name: `ρ of the few-concept gain over matched with ${name}`, estimate: values.gains.few_gain_matched },
    { name: `ρ of the gain in IIS over matched with ${name}`, estimate: values.gains.gain_matched },
    { name: `ρ of the few-concept gain over isotropic with ${name}`, estimate: values.gains.few_gain_isotropic },
    { name: `ρ of the gain in IIS over isotropic with ${name}`, estimate: values.gains.gain_isotropic },
    ...values.leave_one_family_out.map(({ family, spearman }) => ({ name: `ρ of IIS with ${name}, without ${family}`, estimate: spearman })),
  ]);
  /** @type {Column<typeof rows[number]>[]} */
  const columns = [
    ["Correlation", (row) => row.name],
    ["Value (95 % interval)", (row) => formatEstimate(row.estimate), "number"],
    ["p", (row) => formatNumber(row.estimate?.p), "number"],
    ["p (Holm)", (row) => formatNumber(row.estimate?.p_holm), "number"],
    ["Models", (row) => row.estimate?.n ?? "–", "number"],
  ];
  return [table(`Correlations, ${describeSetting(setting)}`, columns, rows), undefinedReasons(rows.map(({ estimate }) => estimate))];
}

/**
 * @param {RelationPoint} point
 * @param {[y: string, x: string]} names
 * @param {Measurement} quantity
 * @param {number} index
 * @param {boolean} labelled label the point itself instead of listing it in the legend
 */
function scatterTrace(point, [name, retained], quantity, index, labelled) {
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
  const tooltip = [label, `${name} ${formatMeasurement(quantity)}`, `${retained} ${formatPercent(point.accuracy.value)} (${accuracyInterval})`];
  const text = labelled
    ? { mode: "markers+text", texttemplate: label, textposition: "top center", textfont: { size: 10.5 } }
    : { mode: "markers" };
  return {
    x: [point.accuracy.value],
    y: [quantity.value],
    name: label,
    ...text,
    marker: { color: shade, symbol, size: 10, line: { color: colour("background"), width: 1 } },
    error_x: errorBars(point.accuracy),
    error_y: errorBars(quantity),
    text: [tooltip.join("<br>")],
    hovertemplate: "%{text}<extra></extra>",
  };
}
