// Whether the listed concepts are really what decides: probability of the class as they are taken away, or alone are kept.

import { colour, draw } from "./charts.js";
import { el, problemView, table } from "./dom.js";
import { share } from "./words.js";

const CURVES = [
  ["deletion", "Taken away, strongest first", "A faithful ranking falls faster than the dashed line, where concepts go in any order."],
  ["sufficiency", "Kept alone, strongest first", "A faithful ranking rises faster than the dashed line."],
];

export function faithfulnessSection({ faithfulness, explained }) {
  const { counts } = faithfulness;
  const columns = [["Concepts", (row) => counts[row], "number"], ...CURVES.flatMap(([name, words]) => [[words, (row) => share(faithfulness[name][row]), "number"], ["At random", (row) => share(faithfulness[`${name}_random`][row]), "number"]])];
  return el(
    "section",
    { "aria-labelledby": "faithfulness" },
    el("h2", { id: "faithfulness" }, "Whether the ranking is faithful"),
    el("div", { class: "columns wide" }, CURVES.map((curve) => plot(curve, faithfulness, explained.class))),
    el("details", {}, el("summary", {}, "The same as a table"), table(`Probability of ${explained.class}`, columns, counts.map((_, row) => row))),
  );
}

function plot([name, heading, help], faithfulness, className) {
  const node = el("div", { class: "plot small", role: "img", "aria-label": `Probability of ${className} by number of concepts. ${heading}. A table follows.` });
  const problem = el("div");
  const line = (values, words, style) => ({ x: faithfulness.counts, y: values, name: words, mode: "lines+markers", ...style, hovertemplate: `%{x} concepts: %{y:.1%}<extra>${words}</extra>` });
  const make = () => ({
    traces: [
      line(faithfulness[name], "By contribution", { line: { color: colour("accent"), width: 2 }, marker: { size: 6, color: colour("accent") } }),
      line(faithfulness[`${name}_random`], "In any order", { line: { color: colour("random"), width: 2, dash: "dash" }, marker: { size: 6, symbol: "diamond-open", color: colour("random") } }),
    ],
    layout: { height: 280, xaxis: { title: "Concepts", rangemode: "tozero" }, yaxis: { title: "Probability", range: [-0.03, 1.03], tickformat: ".0%" } },
  });
  requestAnimationFrame(() => draw(node, make).catch((error) => problem.replaceChildren(problemView(error))));
  return el("div", {}, el("h3", {}, heading), el("p", { class: "help" }, help), node, problem);
}
