// A scale from 0 to 1.1 with marks: dot and whiskers for a value, ticks for both controls. The numbers are shown beside it.

import { svg } from "./dom.js";
import { isMissing } from "./formatting.js";

/** @import { Report } from "../types.d.ts" */

const WIDTH = 160;
const HEIGHT = 18;
const MARGIN = 6;
const LARGEST = 1.1;

/**
 * Horizontal position of a score, in units of the view box; scores beyond the ends are placed at the ends.
 * @param {number} score
 */
export const scalePosition = (score) => MARGIN + ((WIDTH - 2 * MARGIN) * Math.min(LARGEST, Math.max(0, score))) / LARGEST;

/** @param {Report} report */
export function scoreScale({ iis, iis_low: low, iis_high: high, controls }) {
  return valueScale({ value: iis, low, high }, { isotropic: controls?.isotropic?.iis, matched: controls?.matched?.iis });
}

/**
 * @param {{value?: number | null, low?: number | null, high?: number | null}} estimate
 * @param {{isotropic?: number | null, matched?: number | null}} controls
 */
export function valueScale({ value, low, high }, { isotropic, matched }) {
  const scale = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "score-scale", "aria-hidden": "true" });
  /**
   * @param {number} from score
   * @param {number} to score
   * @param {number} top
   * @param {number} bottom
   * @param {string} name CSS class
   */
  const addLine = (from, to, top, bottom, name) =>
    scale.append(svg("line", { x1: scalePosition(from), y1: top, x2: scalePosition(to), y2: bottom, class: name }));
  addLine(0, LARGEST, 9, 9, "scale-line");
  addLine(0, 0, 6, 12, "scale-line");
  addLine(1, 1, 6, 12, "scale-line");
  if (!isMissing(isotropic)) addLine(isotropic, isotropic, 2, 16, "scale-random");
  if (!isMissing(matched)) addLine(matched, matched, 2, 16, "scale-matched");
  if (isMissing(value)) return scale;
  if (!isMissing(low) && !isMissing(high)) {
    addLine(low, high, 9, 9, "scale-interval");
    addLine(low, low, 5, 13, "scale-interval");
    addLine(high, high, 5, 13, "scale-interval");
  }
  scale.append(svg("circle", { cx: scalePosition(value), cy: 9, r: 3.5, class: "scale-dot" }));
  return scale;
}
