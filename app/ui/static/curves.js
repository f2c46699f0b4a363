// ARR curves: which points a reader's choices leave, the plot of them, and the same as a table.

import { banded, draw, escapeLabel, look } from "./charts.js";
import { el, table } from "./dom.js";
import { counted, interval, missing, number } from "./words.js";

export const AXES = { sparsity: "by share of concepts zeroed", kept: "by number kept, logarithmic" };

// The points that can stand on the chosen axis with the chosen measure, by rising sparsity; none kept has no logarithm.
export function shownPoints(points, { axis, corrected }) {
  return points
    .filter((point) => (axis === "sparsity" || point.kept > 0) && !(corrected && missing(point.arr_chance_corrected)))
    .toSorted((one, other) => one.sparsity - other.sparsity);
}

export function hoverText(name, point, corrected) {
  const value = corrected ? `${number(point.arr_chance_corrected)} of what is above chance` : `ARR ${number(point.arr)} (${interval(point.arr_low, point.arr_high)})`;
  const kept = `${counted(point.kept, "concept")} kept, sparsity ${number(point.sparsity, 2)}`;
  return [escapeLabel(name), kept, value, `accuracy ${number(point.accuracy)} (${interval(point.accuracy_low, point.accuracy_high)})`].join("<br>");
}

// series: [{name, points, style?}]; the choices are {axis, corrected}.
export function drawCurves(node, series, choices) {
  const measure = choices.corrected ? (point) => point.arr_chance_corrected : (point) => point.arr;
  const bounds = choices.corrected ? {} : { low: (point) => point.arr_low, high: (point) => point.arr_high };
  const x = choices.axis === "kept" ? (point) => point.kept : (point) => point.sparsity;
  return draw(node, () => ({
    traces: series.flatMap(({ name, points, style }, index) =>
      banded(
        name,
        shownPoints(points, choices),
        { x, y: measure, ...bounds, hover: (point) => hoverText(name, point, choices.corrected) },
        typeof style === "function" ? style() : look(index),
      ),
    ),
    layout: {
      xaxis:
        choices.axis === "kept"
          ? { title: "Concepts kept", type: "log", dtick: "D2" }
          : { title: "Sparsity: share of concepts zeroed", range: [-0.02, 1.02], dtick: 0.2 },
      yaxis: { title: choices.corrected ? "Accuracy above chance retained" : "Accuracy retained (ARR)", rangemode: "tozero" },
      hovermode: "closest",
    },
  }));
}

export function curveTable(caption, series) {
  const rows = series.flatMap(({ name, points }) => points.toSorted((one, other) => one.sparsity - other.sparsity).map((point) => ({ name, ...point })));
  return el(
    "details",
    {},
    el("summary", {}, "The same as a table"),
    table(
      caption,
      [
        ["Curve", (row) => row.name],
        ["Sparsity", (row) => number(row.sparsity, 2), "number"],
        ["Kept", (row) => row.kept, "number"],
        ["ARR", (row) => number(row.arr), "number"],
        ["95 % interval", (row) => interval(row.arr_low, row.arr_high), "number"],
        ["Chance corrected", (row) => number(row.arr_chance_corrected), "number"],
        ["Accuracy", (row) => number(row.accuracy), "number"],
      ],
      rows,
    ),
  );
}

// The two choices above a plot; `changed` gets {axis, corrected}.
export function curveChoices(changed) {
  const choices = { axis: "sparsity", corrected: false };
  const axis = el("select", { id: "curve-axis" }, Object.entries(AXES).map(([value, words]) => el("option", { value }, words)));
  const corrected = el("input", { type: "checkbox", id: "curve-corrected" });
  axis.addEventListener("change", () => changed({ ...Object.assign(choices, { axis: axis.value }) }));
  corrected.addEventListener("change", () => changed({ ...Object.assign(choices, { corrected: corrected.checked }) }));
  return el(
    "div",
    { class: "choices" },
    el("label", { for: "curve-axis" }, "Drawn ", axis),
    el("label", { class: "check", for: "curve-corrected" }, corrected, " corrected for chance (no interval)"),
  );
}
