// Values with their intervals on one scale from 0 to 1: a row each, with name and numbers as text beside it.

import { el } from "./dom.js";
import { formatInterval, formatNumber, isMissing } from "./formatting.js";

/**
 * @typedef {object} ScaleRow
 * @property {string} name
 * @property {string} kind CSS class: library, matched or isotropic
 * @property {number | null} [value]
 * @property {number | null} [low]
 * @property {number | null} [high]
 */

const TICKS = [0, 0.25, 0.5, 0.75, 1];

/**
 * Position on the scale in percent; values beyond an end are placed at the end.
 * @param {number} value
 */
export const scalePercent = (value) => 100 * Math.min(1, Math.max(0, value));

/** @param {ScaleRow[]} rows */
export function numberScale(rows) {
  return el("div", { class: "number-scale" }, rows.filter(({ value }) => !isMissing(value)).map(scaleRow), axis());
}

/** @param {ScaleRow} row */
function scaleRow({ name, kind, value, low, high }) {
  const track = el("span", { class: "scale-track", "aria-hidden": "true" });
  if (!isMissing(low) && !isMissing(high)) {
    const whisker = el("span", { class: "scale-whisker" });
    whisker.style.left = `${scalePercent(low)}%`;
    whisker.style.width = `${scalePercent(high) - scalePercent(low)}%`;
    track.append(whisker);
  }
  const dot = el("span", { class: "scale-point" });
  dot.style.left = `${scalePercent(value ?? 0)}%`;
  track.append(dot);
  const numbers = el("span", { class: "scale-numbers" }, el("strong", {}, formatNumber(value)), " ", formatInterval(low, high));
  return el("div", { class: `scale-row ${kind}` }, el("span", { class: "scale-name" }, name), track, numbers);
}

function axis() {
  const ticks = TICKS.map((value) => {
    const tick = el("span", {}, String(value));
    tick.style.left = `${scalePercent(value)}%`;
    return tick;
  });
  return el("div", { class: "scale-row axis", "aria-hidden": "true" }, el("span"), el("span", { class: "scale-ticks" }, ticks), el("span"));
}
