// A study's statistics as sections: the relation with its numbers in words, evolution, ablations, agreement. Drawn from the analysis alone.

import { banded, colour, draw, escapeLabel, forget, look, translucent } from "./charts.js";
import { el, problemView, table } from "./dom.js";
import { estimate, measured, settingWords } from "./study_words.js";
import { interval, missing, number, share } from "./words.js";

const LEGEND_NAMES = 6;

// Many settings have many plots: each is drawn when the reader comes near it.
const plots = new Map(); // each plot, and how it is drawn
const nearby = new IntersectionObserver(
  (seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      nearby.unobserve(target);
      plots.get(target)();
    }
  },
  { rootMargin: "50%" },
);

export function sections(found) {
  dropReplaced();
  return [warnings(found.warnings), relations(found.relation), evolutions(found.evolution), counts(found.concept_counts), grids(found.sparsity_grids), agreement(found.agreement), differences("transfer", "Libraries cut from other data sets", found.transfer, "own", "other"), differences("untrained", "Trained and untrained", found.untrained, "trained", "untrained")].filter(Boolean);
}

function dropReplaced() {
  for (const node of [...plots.keys()].filter((one) => !one.isConnected)) {
    nearby.unobserve(node);
    plots.delete(node);
    forget(node);
  }
}

function section(id, heading, ...children) {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, heading), children);
}

function plot(summary, make) {
  const node = el("div", { class: "plot", role: "img", "aria-label": summary });
  const problem = el("div");
  plots.set(node, () => draw(node, make).catch((error) => problem.replaceChildren(problemView(error))));
  nearby.observe(node);
  return [node, problem];
}

function warnings(sentences) {
  if (!sentences.length) return null;
  return el("div", { class: "notice caution" }, el("ul", {}, sentences.map((sentence) => el("li", {}, sentence))));
}

function relations(found) {
  if (!found.length) return null;
  const several = found.length > 1;
  return section("relation", "Interpretability against accuracy", found.map((one) => relation(one, several)));
}

function relation(one, several) {
  const rows = [one.accuracy && ["the representation’s accuracy", one.accuracy], one.given_accuracy && ["the accuracy that was given", one.given_accuracy]].filter(Boolean);
  const drawn = one.points.filter((point) => point.iis);
  const summary = `IIS over accuracy: ${drawn.map((point) => `${point.label} ${number(point.iis.value)} at ${share(point.accuracy.value)}`).join("; ")}.`;
  return el(
    "div",
    { class: "setting" },
    several ? el("h3", {}, settingWords(one)) : el("p", { class: "help" }, settingWords(one)),
    rows.map(([, against]) => el("p", {}, against.sentence)),
    drawn.length ? plot(summary, () => ({ traces: drawn.map(scatter), layout: { xaxis: { title: "Accuracy of the representation", tickformat: ".0%" }, yaxis: { title: "IIS" }, hovermode: "closest", showlegend: drawn.length <= LEGEND_NAMES } })) : null,
    one.n >= 2 ? correlations(one, rows) : null,
    leftOut(one),
  );
}

function leftOut({ left_out: models }) {
  return models.length ? el("p", { class: "help" }, `Left out: ${models.map((left) => left.label).join(", ")}. ${[...new Set(models.map((left) => left.reason))].join(" ")}`) : null;
}

function correlations(one, rows) {
  const lines = rows.flatMap(([name, against]) => [
    { what: `Spearman’s ρ with ${name}`, of: against.spearman },
    { what: `Kendall’s τ with ${name}`, of: against.kendall },
    { what: `ρ with ${name}, given the denominator`, of: against.partial.denominator },
    { what: `ρ with ${name}, given the random control’s IIS`, of: against.partial.random },
    { what: `ρ of the random control’s IIS with ${name}`, of: against.random_control },
    ...against.leave_one_family_out.map((left) => ({ what: `ρ with ${name}, without ${left.family}`, of: left.spearman })),
  ]);
  const columns = [["Correlation", (line) => line.what], ["Value (95 % interval)", (line) => estimate(line.of), "number"], ["Models", (line) => line.of?.n ?? "–", "number"]];
  return [table(`Correlations, ${settingWords(one)}`, columns, lines), reasons(lines.map((line) => line.of))];
}

// Why some numbers are not there, each reason once.
function reasons(estimates) {
  const said = new Set(estimates.filter((one) => one && missing(one.value) && one.reason).map((one) => one.reason));
  return [...said].map((sentence) => el("p", { class: "help" }, `–: ${sentence}`));
}

function scatter(point, index, { length }) {
  const { colour: own, symbol } = look(index);
  const bars = ({ value, low, high }) => ({ type: "data", symmetric: false, array: [high - value], arrayminus: [value - low], color: translucent(own, 0.6), thickness: 1.2, width: 3 });
  return {
    x: [point.accuracy.value],
    y: [point.iis.value],
    name: escapeLabel(point.label),
    // Many names stand at their points, as in the paper; few in a legend.
    ...(length > LEGEND_NAMES ? { mode: "markers+text", texttemplate: escapeLabel(point.label), textposition: "top center", textfont: { size: 10.5 } } : { mode: "markers" }),
    marker: { color: own, symbol, size: 10, line: { color: colour("paper"), width: 1 } },
    error_x: bars(point.accuracy),
    error_y: bars(point.iis),
    text: [[escapeLabel(point.label), `IIS ${measured(point.iis)}`, `accuracy ${share(point.accuracy.value)} (${interval(point.accuracy.low, point.accuracy.high)})`].join("<br>")],
    hovertemplate: "%{text}<extra></extra>",
  };
}

function evolutions(found) {
  if (!found.length) return null;
  return section("evolution", "Over training", el("p", { class: "help" }, "Where the ground is shaded the representation is near chance, and its IIS says nothing. Bands are 95 % intervals."), found.map(evolution));
}

function evolution(one) {
  const place = one.epochs_given ? "epoch" : "checkpoint";
  const line = (name, key, index) => {
    const points = one.points.filter((point) => point[key] && !(key === "iis" && point.near_chance));
    return points.length ? banded(name, points, { x: (point) => point.epoch, y: (point) => point[key].value, low: (point) => point[key].low, high: (point) => point[key].high, hover: (point) => `${escapeLabel(point.label)}, ${place} ${point.epoch}<br>${name} ${measured(point[key])}` }, look(index)) : [];
  };
  const summary = one.points.map((point) => `${place} ${point.epoch}: accuracy ${share(point.accuracy.value)}, IIS ${point.near_chance || !point.iis ? "none, near chance" : number(point.iis.value)}`).join("; ");
  const make = () => ({ traces: [...line("IIS", "iis", 0), ...line("Accuracy", "accuracy", 1)], layout: { xaxis: { title: one.epochs_given ? "Epoch" : "Checkpoint" }, yaxis: { title: "IIS, accuracy", rangemode: "tozero" }, hovermode: "closest", shapes: shaded(one.points) } });
  return el("div", { class: "setting" }, el("h3", {}, settingWords(one)), el("p", {}, one.sentence), plot(`Over training. ${summary}.`, make));
}

// One strip for each stretch of checkpoints near chance, half way to the neighbours on either side.
function shaded(points) {
  const edge = (index, side) => {
    const other = points[index + side];
    return other ? (points[index].epoch + other.epoch) / 2 : points[index].epoch;
  };
  return points.flatMap((point, index) => (point.near_chance ? [{ type: "rect", xref: "x", yref: "paper", x0: edge(index, -1), x1: edge(index, 1), y0: 0, y1: 1, line: { width: 0 }, fillcolor: translucent(colour("random"), 0.22), layer: "below" }] : []));
}

function counts(found) {
  if (!found.length) return null;
  return section(
    "concept-counts",
    "Numbers of concepts",
    found.map((one) => {
      const make = () => ({
        traces: one.models.flatMap((model, index) => banded(model.label, model.values, { x: (value) => value.concept_count, y: (value) => value.iis.value, low: (value) => value.iis.low, high: (value) => value.iis.high, hover: (value) => `${escapeLabel(model.label)}, M = ${value.concept_count}<br>IIS ${measured(value.iis)}` }, look(index))),
        layout: { xaxis: { title: "M, number of concepts", type: "log", tickvals: one.concept_counts }, yaxis: { title: "IIS" }, hovermode: "closest", showlegend: one.models.length <= LEGEND_NAMES },
      });
      const columns = [["M", (order) => order.concept_count, "number"], [`Spearman’s ρ with M = ${one.default}`, (order) => estimate(order.spearman), "number"], ["Kendall’s τ", (order) => estimate(order.kendall), "number"], ["Models", (order) => order.n, "number"]];
      const absent = reasons(one.order.map((order) => order.spearman));
      return el("div", { class: "setting" }, el("h3", {}, settingWords(one)), plot(`IIS by number of concepts for ${one.models.map((model) => model.label).join(", ")}.`, make), table(`Order of the models by M, ${settingWords(one)}`, columns, one.order), absent, leftOut(one));
    }),
  );
}

function grids(found) {
  if (!found.length) return null;
  return section(
    "sparsity-grids",
    "Sparsity grids",
    el("p", { class: "help" }, "The area under retention over each grid, and how like the usual grid it orders the models."),
    found.map((one) => {
      const columns = [["Sparsities", (grid) => grid.sparsities.join(", ")], ["Spearman’s ρ with the usual grid", (grid) => estimate(grid.spearman), "number"], ["Kendall’s τ", (grid) => estimate(grid.kendall), "number"], ["Read between nodes", (grid) => grid.interpolated.join(", ") || "none"]];
      const said = one.grids.filter((grid) => grid.sentence).map((grid) => el("p", { class: "help" }, grid.sentence));
      return el("div", { class: "setting" }, el("h3", {}, settingWords(one)), table(`Sparsity grids, ${settingWords(one)}`, columns, one.grids), said, reasons(one.grids.map((grid) => grid.spearman)), leftOut(one));
    }),
  );
}

function agreement(found) {
  if (!found.length) return null;
  const columns = [["Library", (pair) => pair.a], ["and library", (pair) => pair.b], ["Spearman’s ρ of IIS", (pair) => estimate(pair.spearman), "number"], ["Kendall’s τ", (pair) => estimate(pair.kendall), "number"], ["Models", (pair) => pair.n, "number"]];
  return section("agreement", "Agreement of libraries", el("p", { class: "help" }, "Whether two libraries order the models alike."), found.map((one) => el("div", { class: "setting" }, el("h3", {}, settingWords(one)), table(`Agreement, ${settingWords(one)}`, columns, one.pairs), reasons(one.pairs.map((pair) => pair.spearman)), leftOut(one))));
}

function differences(id, heading, found, first, second) {
  if (!found.length) return null;
  const columns = [["Model", (model) => model.label], [`IIS, ${first}`, (model) => measured(model[first]), "number"], [`IIS, ${second}`, (model) => measured(model[second]), "number"], ["Difference", (model) => (model.difference ? measured(model.difference) : (model.reason ?? "–")), "number"]];
  return section(id, heading, found.map((one) => el("div", { class: "setting" }, el("h3", {}, settingWords(one)), one.sentence ? el("p", {}, one.sentence) : null, table(`${heading}, ${settingWords(one)}`, columns, one.models), one.left_out ? leftOut(one) : null)));
}
