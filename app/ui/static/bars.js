// Bars of signed values, beside their numbers; direction and pattern show the sign, not colour alone.

import { el } from "./dom.js";

/**
 * @param {number} value
 * @param {number} largest the magnitude that fills the bar
 * @param {"positive" | "negative" | "neutral"} [kind]
 */
export function bar(value, largest, kind = value < 0 ? "negative" : "positive") {
  const fill = el("span", { class: `bar-fill ${kind}` });
  fill.style.width = `${largest > 0 ? Math.min(100, (100 * Math.abs(value)) / largest) : 0}%`;
  return el("span", { class: "bar", "aria-hidden": "true" }, fill);
}

/** @param {number[]} values */
export const maxMagnitude = (values) => Math.max(0, ...values.map(Math.abs));
