// Training curves: loss and validation accuracy by epoch, one line per run. For running and for finished jobs.

import { colour, draw } from "./charts.js";
import { el, errorNotice, table } from "./dom.js";
import { escapeLabel } from "./escaping.js";
import { formatNumber, formatPercent } from "./formatting.js";

/** @import { Arm, Column, Epoch, EpochEvent } from "../types.d.ts" */

/** @typedef {Exclude<keyof Epoch, "epoch">} Metric */
/** @typedef {{arm: Arm, seed: number, epochs: Epoch[]}} Run */

/** @type {Record<Arm, {label: string, colour: string, dash: string, symbol: string}>} */
const ARMS = {
  treatment: { label: "Treatment (concept loss)", colour: "series-0", dash: "solid", symbol: "circle" },
  control: { label: "Control (no concept loss)", colour: "series-1", dash: "dash", symbol: "diamond-open" },
};
const ARM_ORDER = Object.keys(ARMS);

/** @type {Record<string, {label: string, loss: Metric, accuracy: Metric}>} */
const HEADS = {
  representation: { label: "whole representation", loss: "loss_representation", accuracy: "validation_accuracy" },
  concepts: { label: "kept concepts", loss: "loss_interpretation", accuracy: "validation_accuracy_interpretation" },
};

/** @param {Arm} arm */
export const armLabel = (arm) => ARMS[arm].label;

export class TrainingView {
  constructor() {
    /** @type {Map<string, {arm: Arm, seed: number, epochs: Map<number, Epoch>}>} */
    this.runs = new Map();
    this.head = "representation";
    this.redrawScheduled = false;
    const head = el("select", { id: "head" }, Object.entries(HEADS).map(([value, { label }]) => el("option", { value }, label)));
    head.addEventListener("change", () => {
      this.head = head.value;
      this.redraw();
    });
    this.lossPlot = el("div", { class: "plot small", role: "img" });
    this.accuracyPlot = el("div", { class: "plot small", role: "img" });
    this.summary = el("p", { class: "help" });
    this.table = el("div");
    this.problem = el("div");
    this.node = el(
      "section",
      { "aria-labelledby": "training", hidden: true },
      el("h2", { id: "training" }, "Training"),
      el("p", { class: "help" }, "One line per seed. Both arms of a seed start from the same heads and use the same batches."),
      el("div", { class: "choices" }, el("label", { for: "head" }, "Head on ", head)),
      el(
        "div",
        { class: "columns wide" },
        el("div", {}, el("h3", {}, "Training loss"), this.lossPlot),
        el("div", {}, el("h3", {}, "Validation accuracy"), this.accuracyPlot),
      ),
      this.summary,
      this.problem,
      this.table,
    );
  }

  /**
   * Add an epoch of a run.
   * @param {EpochEvent} epoch
   */
  add(epoch) {
    const { arm, seed } = epoch;
    const key = `${arm} ${seed}`;
    const run = this.runs.get(key) ?? { arm, seed, epochs: new Map() };
    this.runs.set(key, run);
    run.epochs.set(epoch.epoch, epoch);
    this.node.hidden = false;
    if (this.redrawScheduled) return; // many events may arrive at once
    this.redrawScheduled = true;
    requestAnimationFrame(() => {
      this.redrawScheduled = false;
      this.redraw();
    });
  }

  redraw() {
    const { label, loss, accuracy } = HEADS[this.head];
    this.drawMetric(this.lossPlot, loss, `Cross-entropy, ${label}`, formatNumber);
    this.drawMetric(this.accuracyPlot, accuracy, `Accuracy, ${label}`, formatPercent);
    this.summary.textContent = this.summarise(accuracy);
    this.showTable();
  }

  /**
   * @param {HTMLElement} node
   * @param {Metric} metric
   * @param {string} title
   * @param {(value: number | null) => string} format
   */
  drawMetric(node, metric, title, format) {
    node.setAttribute("aria-label", `${title} by epoch, one line per run. A table follows.`);
    const makePlot = () => ({
      traces: this.sortedRuns().map((run, index, runs) => metricTrace(run, metric, format, runs.findIndex(({ arm }) => arm === run.arm) === index)),
      layout: {
        height: 300,
        xaxis: { title: "Epoch", rangemode: "tozero", tickformat: "d", dtick: this.tickInterval() },
        yaxis: { title },
      },
    });
    draw(node, makePlot).catch((error) => this.problem.replaceChildren(errorNotice(error)));
  }

  tickInterval() {
    const lastEpoch = Math.max(...[...this.runs.values()].map((run) => Math.max(...run.epochs.keys())));
    return Math.max(1, Math.ceil(lastEpoch / 8));
  }

  /** @returns {Run[]} */
  sortedRuns() {
    const runs = [...this.runs.values()].map((run) => ({
      ...run,
      epochs: [...run.epochs.values()].toSorted((first, second) => first.epoch - second.epoch),
    }));
    return runs.toSorted((first, second) => ARM_ORDER.indexOf(first.arm) - ARM_ORDER.indexOf(second.arm) || first.seed - second.seed);
  }

  /** @param {Metric} metric */
  summarise(metric) {
    const latest = this.sortedRuns().map(({ arm, seed, epochs }) => {
      const last = epochs[epochs.length - 1];
      return `${arm}, seed ${seed}: ${formatPercent(last[metric])} after epoch ${last.epoch}`;
    });
    return `Validation accuracy: ${latest.join("; ")}.`;
  }

  showTable() {
    const rows = this.sortedRuns().flatMap(({ arm, seed, epochs }) => epochs.map((epoch) => ({ ...epoch, arm, seed })));
    const open = this.table.querySelector("details")?.open;
    /** @type {Column<EpochEvent>[]} */
    const columns = [
      ["Arm", (row) => row.arm],
      ["Seed", (row) => row.seed, "number"],
      ["Epoch", (row) => row.epoch, "number"],
      ["Loss", (row) => formatNumber(row.loss), "number"],
      ["Loss, representation", (row) => formatNumber(row.loss_representation), "number"],
      ["Loss, concepts", (row) => formatNumber(row.loss_interpretation), "number"],
      ["Accuracy, representation", (row) => formatPercent(row.validation_accuracy), "number"],
      ["Accuracy, concepts", (row) => formatPercent(row.validation_accuracy_interpretation), "number"],
    ];
    const details = el("details", {}, el("summary", {}, "Show as table"), table("Epochs of all runs", columns, rows));
    details.open = Boolean(open);
    this.table.replaceChildren(details);
  }
}

/**
 * @param {Run} run
 * @param {Metric} metric
 * @param {(value: number | null) => string} format
 * @param {boolean} showlegend
 */
function metricTrace({ arm, seed, epochs }, metric, format, showlegend) {
  const style = ARMS[arm];
  const shade = colour(style.colour);
  const points = epochs.filter((epoch) => epoch[metric] !== null);
  return {
    x: points.map((epoch) => epoch.epoch),
    y: points.map((epoch) => epoch[metric]),
    name: style.label,
    legendgroup: arm,
    showlegend,
    mode: "lines+markers",
    line: { color: shade, dash: style.dash, width: 1.75 },
    marker: { color: shade, symbol: style.symbol, size: 5 },
    text: points.map((epoch) => [escapeLabel(`${style.label}, seed ${seed}`), `epoch ${epoch.epoch}`, format(epoch[metric])].join("<br>")),
    hovertemplate: "%{text}<extra></extra>",
  };
}
