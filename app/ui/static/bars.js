// Signed quantities as bars beside their numbers: the sign is in the number and the side, never in the colour alone.

import { el } from "./dom.js";

export function bar(value, largest, kind = value < 0 ? "against" : "for") {
  const fill = el("span", { class: `bar-fill ${kind}` });
  fill.style.width = `${largest > 0 ? Math.min(100, (100 * Math.abs(value)) / largest) : 0}%`;
  return el("span", { class: "bar", "aria-hidden": "true" }, fill);
}

export const largestOf = (values) => Math.max(0, ...values.map(Math.abs));
