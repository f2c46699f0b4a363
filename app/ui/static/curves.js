// ARR curves: the plot with its options, and the same points as a table.

import { bandedLine, draw, seriesStyle } from "./charts.js";
import { bySparsity, plottablePoints, pointTooltip } from "./curve_points.js";
import { el, errorNotice, table } from "./dom.js";
import { capitalise, formatInterval, formatNumber } from "./formatting.js";

/** @import { Column, CurveOptions, CurvePoint, CurveSeries } from "../types.d.ts" */

const AXES = { sparsity: "sparsity (share of concepts zeroed)", kept: "concepts kept (log scale)" };

/**
 * @param {HTMLElement} node
 * @param {CurveSeries[]} series
 * @param {string} quantity
 * @param {CurveOptions} options
 */
function drawCurves(node, series, quantity, options) {
  /** @param {CurvePoint} point */
  const y = (point) => (options.corrected ? point.arr_chance_corrected : point.arr);
  /** @param {CurvePoint} point */
  const x = (point) => (options.axis === "kept" ? point.kept : point.sparsity);
  /** @type {{low?: (point: CurvePoint) => number, high?: (point: CurvePoint) => number}} */
  const bounds = options.corrected ? {} : { low: (point) => point.arr_low, high: (point) => point.arr_high };
  const xaxis =
    options.axis === "kept"
      ? { title: "Concepts kept", type: "log", dtick: "D2" }
      : { title: "Sparsity (share of concepts zeroed)", range: [-0.02, 1.02], dtick: 0.2 };
  const yaxis = { title: options.corrected ? "ARR, chance-corrected" : `${capitalise(quantity)} retained (ARR)`, rangemode: "tozero" };
  return draw(node, () => ({
    traces: series.flatMap(({ name, points, style }, index) => {
      const accessors = { x, y, ...bounds, tooltip: (/** @type {CurvePoint} */ point) => pointTooltip(name, point, options.corrected, quantity) };
      return bandedLine(name, plottablePoints(points, options), accessors, style ? style() : seriesStyle(index));
    }),
    layout: { xaxis, yaxis, hovermode: "closest" },
  }));
}

/**
 * A plot of curves below the controls for its axis and measure.
 * @param {CurveSeries[]} series
 * @param {string} quantity that is retained
 * @param {string} summary text alternative
 */
export function curvePlot(series, quantity, summary) {
  const plot = el("div", { class: "plot", role: "img", "aria-label": summary });
  const problem = el("div");
  /** @type {CurveOptions} */
  const options = { axis: "sparsity", corrected: false };
  const redraw = () => drawCurves(plot, series, quantity, { ...options }).catch((error) => problem.replaceChildren(errorNotice(error)));
  const axis = el("select", { id: "curve-axis" }, Object.entries(AXES).map(([value, label]) => el("option", { value }, label)));
  const corrected = el("input", { type: "checkbox", id: "curve-corrected" });
  axis.addEventListener("change", () => {
    options.axis = axis.value === "kept" ? "kept" : "sparsity";
    redraw();
  });
  corrected.addEventListener("change", () => {
    options.corrected = corrected.checked;
    redraw();
  });
  requestAnimationFrame(redraw);
  const controls = el(
    "div",
    { class: "choices" },
    el("label", { for: "curve-axis" }, "X axis ", axis),
    el("label", { class: "check", for: "curve-corrected" }, corrected, " chance-corrected (no interval)"),
  );
  return [controls, plot, problem];
}

/**
 * @param {string} caption
 * @param {CurveSeries[]} series
 * @param {string} quantity
 */
export function curveTable(caption, series, quantity) {
  const rows = series.flatMap(({ name, points }) => bySparsity(points).map((point) => ({ name, ...point })));
  /** @type {Column<CurvePoint & {name: string}>[]} */
  const columns = [
    ["Curve", (row) => row.name],
    ["Sparsity", (row) => formatNumber(row.sparsity, 2), "number"],
    ["Kept", (row) => row.kept, "number"],
    ["ARR", (row) => formatNumber(row.arr), "number"],
    ["95 % interval", (row) => formatInterval(row.arr_low, row.arr_high), "number"],
    ["Chance-corrected", (row) => formatNumber(row.arr_chance_corrected), "number"],
    [capitalise(quantity), (row) => formatNumber(row.accuracy), "number"],
  ];
  return el("details", {}, el("summary", {}, "Show as table"), table(caption, columns, rows));
}
