// Faithfulness of the concept ranking: probability of the explained class as concepts are deleted, or kept alone.

import { colour, draw } from "./charts.js";
import { el, errorNotice, section, table } from "./dom.js";
import { formatPercent } from "./formatting.js";

/** @import { Column, Explanation, Faithfulness } from "../types.d.ts" */

/**
 * @typedef {object} Curve
 * @property {"deletion" | "sufficiency"} name
 * @property {"deletion_random" | "sufficiency_random"} random
 * @property {string} heading
 * @property {string} help
 */

/** @type {Curve[]} */
const CURVES = [
  {
    name: "deletion",
    random: "deletion_random",
    heading: "Deletion, strongest first",
    help: "A faithful ranking falls faster than random order (dashed).",
  },
  {
    name: "sufficiency",
    random: "sufficiency_random",
    heading: "Sufficiency, strongest first",
    help: "A faithful ranking rises faster than random order (dashed).",
  },
];

/** @param {Explanation} explanation */
export function faithfulnessSection({ faithfulness, explained }) {
  const { counts } = faithfulness;
  /** @type {Column<number>[]} */
  const columns = [["Concepts", (row) => counts[row], "number"]];
  for (const { name, random, heading } of CURVES) {
    columns.push([heading, (row) => formatPercent(faithfulness[name][row]), "number"]);
    columns.push(["Random order", (row) => formatPercent(faithfulness[random][row]), "number"]);
  }
  const rows = counts.map((_, row) => row);
  return section(
    "faithfulness",
    "Faithfulness of the ranking",
    el("div", { class: "columns wide" }, CURVES.map((curve) => curveView(curve, faithfulness, explained.class))),
    el("details", {}, el("summary", {}, "Show as table"), table(`Probability of ${explained.class}`, columns, rows)),
  );
}

/**
 * @param {Curve} curve
 * @param {Faithfulness} faithfulness
 * @param {string} className
 */
function curveView({ name, random, heading, help }, faithfulness, className) {
  const summary = `Probability of ${className} by number of concepts. ${heading}. A table follows.`;
  const node = el("div", { class: "plot small", role: "img", "aria-label": summary });
  const problem = el("div");
  /**
   * @param {number[]} values
   * @param {string} label
   * @param {object} style
   */
  const trace = (values, label, style) => ({
    x: faithfulness.counts,
    y: values,
    name: label,
    mode: "lines+markers",
    ...style,
    hovertemplate: `%{x} concepts: %{y:.1%}<extra>${label}</extra>`,
  });
  const makePlot = () => ({
    traces: [
      trace(faithfulness[name], "By contribution", { line: { color: colour("accent"), width: 2 }, marker: { size: 6, color: colour("accent") } }),
      trace(faithfulness[random], "Random order", {
        line: { color: colour("random"), width: 2, dash: "dash" },
        marker: { size: 6, symbol: "diamond-open", color: colour("random") },
      }),
    ],
    layout: {
      height: 280,
      xaxis: { title: "Concepts", rangemode: "tozero" },
      yaxis: { title: "Probability", range: [-0.03, 1.03], tickformat: ".0%" },
    },
  });
  requestAnimationFrame(() => draw(node, makePlot).catch((error) => problem.replaceChildren(errorNotice(error))));
  return el("div", {}, el("h3", {}, heading), el("p", { class: "help" }, help), node, problem);
}
