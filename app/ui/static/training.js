// Training as it goes on: loss and validation accuracy over epochs, a line for each run, told apart by arm. Also drawn of finished jobs.

import { colour, draw, escapeLabel } from "./charts.js";
import { el, problemView, table } from "./dom.js";
import { number, share } from "./words.js";

const ARMS = { treatment: ["With the concepts' loss", "series-0", "solid", "circle"], control: ["Control, without it", "series-1", "dash", "diamond-open"] };
const READINGS = {
  whole: ["the whole representation", "loss_representation", "validation_accuracy"],
  concepts: ["the kept concepts", "loss_interpretation", "validation_accuracy_interpretation"],
};

export const armWords = (arm) => ARMS[arm]?.[0] ?? arm;

export class TrainingView {
  constructor() {
    this.runs = new Map();
    this.reading = "whole";
    this.waiting = false;
    const choice = el("select", { id: "reading" }, Object.entries(READINGS).map(([value, [words]]) => el("option", { value }, words)));
    choice.addEventListener("change", () => {
      this.reading = choice.value;
      this.redraw();
    });
    this.loss = el("div", { class: "plot small", role: "img" });
    this.accuracy = el("div", { class: "plot small", role: "img" });
    this.words = el("p", { class: "help" });
    this.table = el("div");
    this.problem = el("div");
    const plots = [["Loss on training images", this.loss], ["Accuracy on validation images", this.accuracy]];
    this.node = el(
      "section",
      { "aria-labelledby": "training", hidden: true },
      el("h2", { id: "training" }, "Training"),
      el("p", { class: "help" }, "A line for each seed. Both arms of a seed start from the same heads and see the same batches."),
      el("div", { class: "choices" }, el("label", { for: "reading" }, "Of the head on ", choice)),
      el("div", { class: "columns wide" }, plots.map(([title, plot]) => el("div", {}, el("h3", {}, title), plot))),
      this.words,
      this.problem,
      this.table,
    );
  }

  // An event of type epoch, or an epoch of a finished job's history with its arm and seed.
  take(epoch) {
    const name = `${epoch.arm} ${epoch.seed}`;
    if (!this.runs.has(name)) this.runs.set(name, { arm: epoch.arm, seed: epoch.seed, epochs: new Map() });
    this.runs.get(name).epochs.set(epoch.epoch, epoch);
    this.node.hidden = false;
    if (this.waiting) return; // many come at once when a page is opened late
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.redraw();
    });
  }

  redraw() {
    const [words, loss, accuracy] = READINGS[this.reading];
    this.drawOne(this.loss, loss, `Cross-entropy, ${words}`, (value) => number(value));
    this.drawOne(this.accuracy, accuracy, `Accuracy, ${words}`, share);
    this.words.textContent = this.summary(accuracy);
    this.showTable();
  }

  drawOne(node, field, title, form) {
    node.setAttribute("aria-label", `${title} over epochs, a line for each run. A table follows.`);
    draw(node, () => ({
      traces: this.sorted().map(({ arm, seed, epochs }, index, all) => {
        const [name, shade, dash, symbol] = ARMS[arm];
        const points = epochs.filter((one) => one[field] !== null);
        return {
          x: points.map((one) => one.epoch),
          y: points.map((one) => one[field]),
          name,
          legendgroup: arm,
          showlegend: all.findIndex((run) => run.arm === arm) === index,
          mode: "lines+markers",
          line: { color: colour(shade), dash, width: 1.75 },
          marker: { color: colour(shade), symbol, size: 5 },
          text: points.map((one) => [escapeLabel(`${name}, seed ${seed}`), `epoch ${one.epoch}`, form(one[field])].join("<br>")),
          hovertemplate: "%{text}<extra></extra>",
        };
      }),
      layout: { height: 300, xaxis: { title: "Epoch", rangemode: "tozero", tickformat: "d", dtick: this.dtick() }, yaxis: { title } },
    })).catch((error) => this.problem.replaceChildren(problemView(error)));
  }

  dtick() {
    const longest = Math.max(...[...this.runs.values()].map((run) => Math.max(...run.epochs.keys())));
    return Math.max(1, Math.ceil(longest / 8));
  }

  sorted() {
    const order = Object.keys(ARMS);
    const runs = [...this.runs.values()].map((run) => ({ ...run, epochs: [...run.epochs.values()].toSorted((one, other) => one.epoch - other.epoch) }));
    return runs.toSorted((one, other) => order.indexOf(one.arm) - order.indexOf(other.arm) || one.seed - other.seed);
  }

  summary(field) {
    const last = this.sorted().map(({ arm, seed, epochs }) => `${arm}, seed ${seed}: ${share(epochs.at(-1)[field])} after epoch ${epochs.at(-1).epoch}`);
    return `Validation accuracy: ${last.join("; ")}.`;
  }

  showTable() {
    const rows = this.sorted().flatMap(({ arm, seed, epochs }) => epochs.map((epoch) => ({ arm, seed, ...epoch })));
    const open = this.table.querySelector("details")?.open;
    const columns = [
      ["Arm", (row) => row.arm],
      ["Seed", (row) => row.seed, "number"],
      ["Epoch", (row) => row.epoch, "number"],
      ["Loss", (row) => number(row.loss), "number"],
      ["Loss, whole", (row) => number(row.loss_representation), "number"],
      ["Loss, concepts", (row) => number(row.loss_interpretation), "number"],
      ["Accuracy, whole", (row) => share(row.validation_accuracy), "number"],
      ["Accuracy, concepts", (row) => share(row.validation_accuracy_interpretation), "number"],
    ];
    const shown = el("details", {}, el("summary", {}, "The same as a table"), table("Epochs of every run", columns, rows));
    shown.open = Boolean(open);
    this.table.replaceChildren(shown);
  }
}
