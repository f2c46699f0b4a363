// Points of ARR curves: selection by axis and measure, tooltips, a summary in words.

import { escapeLabel } from "./escaping.js";
import { formatCount, formatInterval, formatNumber, isMissing } from "./formatting.js";

/** @import { CurveOptions, CurvePoint, CurveSeries } from "../types.d.ts" */

/**
 * @param {CurvePoint[]} points
 * @returns {CurvePoint[]}
 */
export const bySparsity = (points) => points.toSorted((first, second) => first.sparsity - second.sparsity);

/**
 * The points that can be plotted, by rising sparsity; 0 concepts kept has no logarithm.
 * @param {CurvePoint[]} points
 * @param {CurveOptions} options
 * @returns {CurvePoint[]}
 */
export function plottablePoints(points, { axis, corrected }) {
  return bySparsity(points.filter((point) => (axis === "sparsity" || point.kept > 0) && !(corrected && isMissing(point.arr_chance_corrected))));
}

/**
 * @param {string} name
 * @param {CurvePoint} point
 * @param {boolean} corrected
 * @param {string} quantity that is retained
 */
export function pointTooltip(name, point, corrected, quantity) {
  const arr = corrected
    ? `ARR ${formatNumber(point.arr_chance_corrected)}, chance-corrected`
    : `ARR ${formatNumber(point.arr)} (${formatInterval(point.arr_low, point.arr_high)})`;
  const kept = `${formatCount(point.kept, "concept")} kept, sparsity ${formatNumber(point.sparsity, 2)}`;
  const accuracy = `${quantity} ${formatNumber(point.accuracy)} (${formatInterval(point.accuracy_low, point.accuracy_high)})`;
  return [escapeLabel(name), kept, arr, accuracy].join("<br>");
}

/**
 * A text alternative for a plot of curves: ARR with all concepts and at sparsity 0.5 or the next one above.
 * @param {CurveSeries[]} series
 * @param {string} quantity that is retained, with a capital
 */
export function describeCurves(series, quantity) {
  const sentences = series.map(({ name, points }) => {
    const sorted = bySparsity(points);
    const half = sorted.find((point) => point.sparsity >= 0.5) ?? sorted[sorted.length - 1];
    return `${name}: ${formatNumber(sorted[0].arr, 2)} with all concepts, ${formatNumber(half.arr, 2)} at sparsity ${formatNumber(half.sparsity, 2)}`;
  });
  return `${quantity} retained over sparsity. ${sentences.join(". ")}. A table follows.`;
}
