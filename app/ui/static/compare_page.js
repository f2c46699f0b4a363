// Several jobs side by side: choose them, see their curves together, their scores against accuracy, and a table.

import { all, get } from "./api.js";
import { colour, draw, escapeLabel, look } from "./charts.js";
import { curveChoices, drawCurves } from "./curves.js";
import { byId, el, empty, fill, problemView, say, table } from "./dom.js";
import { datasetName, modelName } from "./names.js";
import { counted, halfWidth, interval, libraryWords, missing, number, share, signed, when } from "./words.js";

const MOST_LISTED = 200;
const MOST_CHOSEN = 12;

const chosen = new Set(new URLSearchParams(location.search).getAll("job"));
const comparison = byId("comparison");
const known = new Map();

await fill(byId("choice"), "Reading your finished jobs …", async () => {
  const jobs = await all("/v1/jobs?state=succeeded&kind=score&limit=100", MOST_LISTED);
  if (!jobs.length) return empty("Nothing to compare yet", "Jobs that have finished can be put side by side here.");
  await Promise.all(jobs.map(name));
  for (const id of chosen) if (!known.has(id)) chosen.delete(id);
  return el("fieldset", { class: "chooser" }, el("legend", {}, "Finished jobs, newest first"), jobs.map(choice));
});
if (known.size) await compare();

async function name(job) {
  const [model, dataset] = await Promise.all([modelName(job), datasetName(job)]);
  known.set(job.id, { job, model, dataset, title: `${model}, ${libraryWords(job.library)}` });
}

function choice(job) {
  const { title, dataset } = known.get(job.id);
  const box = el("input", { type: "checkbox", id: `choose-${job.id}` });
  box.checked = chosen.has(job.id);
  box.addEventListener("change", () => {
    if (box.checked && chosen.size >= MOST_CHOSEN) {
      box.checked = false;
      say(`Twelve jobs are chosen already; take one away first.`);
      return;
    }
    if (box.checked) chosen.add(job.id);
    else chosen.delete(job.id);
    const query = [...chosen].map((id) => `job=${id}`).join("&");
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    compare();
  });
  return el("label", { class: "check", for: box.id }, box, title, " ", el("span", { class: "help" }, `${dataset}, ${when(job.created_at)}`));
}

function compare() {
  return fill(comparison, "Reading the chosen results …", async () => {
    if (!chosen.size) return el("p", { class: "help" }, "Tick two or more jobs.");
    const read = await Promise.all(
      [...chosen].map(async (id) => {
        const { job } = known.get(id);
        const [result, curves] = await Promise.all([get(job.links.result), get(job.links.curves)]);
        return { ...known.get(id), report: result.report, points: curves.data.find((curve) => curve.name === "library")?.points ?? [] };
      }),
    );
    const titles = told(read);
    say(`${counted(read.length, "job")} compared.`);
    return [caution(read), curvesOf(read, titles), scatterOf(read, titles), tableOf(read, titles)].filter(Boolean);
  });
}

// Titles that tell the jobs apart: the data set where there is more than one, a number where all else is equal.
function told(read) {
  const several = new Set(read.map((one) => one.dataset)).size > 1;
  const titles = read.map((one) => (several ? `${one.title}, ${one.dataset}` : one.title));
  return titles.map((title, index) => (titles.indexOf(title) !== titles.lastIndexOf(title) ? `${title} (${titles.slice(0, index + 1).filter((other) => other === title).length})` : title));
}

function caution(read) {
  const differ = [
    ["data set", (one) => one.job.dataset],
    ["kind of library", (one) => one.job.library.kind ?? one.job.library.id],
    ["number of concepts", (one) => one.report.library?.concept_count ?? one.job.library.concept_count],
    ["protocol", (one) => one.job.protocol],
  ].filter(([, of]) => new Set(read.map(of)).size > 1);
  if (!differ.length) return null;
  const what = differ.map(([words]) => words).join(", ");
  return el("p", { class: "notice caution" }, `These jobs differ in ${what}. IIS depends on all of these, so read differences between them with care.`);
}

function plotted(id, heading, help, summary, drawing, ...above) {
  const plot = el("div", { class: "plot", role: "img", "aria-label": summary });
  const problem = el("div");
  const run = (choices) => drawing(plot, choices).catch((error) => problem.replaceChildren(problemView(error)));
  requestAnimationFrame(() => run({ axis: "sparsity", corrected: false }));
  return el("section", { "aria-labelledby": id }, el("h2", { id }, heading), el("p", { class: "help" }, help), above.map((make) => make(run)), plot, problem);
}

function curvesOf(read, titles) {
  const series = read.map((one, index) => ({ name: titles[index], points: one.points }));
  return plotted("curves", "Curves", "Each job has its own line and marker; the shades are 95 % intervals.", `ARR curves of ${titles.join("; ")}. The table below has their scores.`, (plot, choices) => drawCurves(plot, series, choices), curveChoices);
}

function scatterOf(read, titles) {
  const scored = read.map((one, index) => ({ ...one, index })).filter((one) => !missing(one.report.iis));
  const drawing = (plot) =>
    draw(plot, () => ({
      traces: scored.map(({ report, index }) => trace(report, titles[index], index)),
      layout: { xaxis: { title: "Accuracy of the representation" }, yaxis: { title: "IIS" }, hovermode: "closest" },
    }));
  return plotted("scatter", "Interpretability against accuracy", "Bars are 95 % intervals of both.", `IIS over accuracy: ${scored.map(({ report, index }) => `${titles[index]} ${number(report.iis)} at ${share(report.accuracy_representation)}`).join("; ")}.`, drawing);
}

function trace(report, title, index) {
  const { colour: own, symbol } = look(index);
  const bars = (value, low, high) => ({ type: "data", symmetric: false, array: [missing(high) ? 0 : high - value], arrayminus: [missing(low) ? 0 : value - low], color: own, thickness: 1.5, width: 5 });
  const accuracy = report.accuracy_representation;
  return {
    x: [accuracy],
    y: [report.iis],
    name: escapeLabel(title),
    mode: "markers",
    marker: { color: own, symbol, size: 11, line: { color: colour("paper"), width: 1 } },
    error_x: bars(accuracy, report.accuracy_representation_low, report.accuracy_representation_high),
    error_y: bars(report.iis, report.iis_low, report.iis_high),
    text: [[escapeLabel(title), `IIS ${number(report.iis)} (${interval(report.iis_low, report.iis_high)})`, `accuracy ${share(accuracy)}`].join("<br>")],
    hovertemplate: "%{text}<extra></extra>",
  };
}

function tableOf(read, titles) {
  const rows = read.map((one, index) => ({ ...one, title: titles[index] }));
  return el(
    "section",
    { "aria-labelledby": "numbers" },
    el("h2", { id: "numbers" }, "Numbers"),
    table(
      "Scores of the chosen jobs",
      [
        ["Job", (row) => el("a", { href: `/jobs/${row.job.id}` }, row.title)],
        ["Data set", (row) => row.dataset],
        ["Accuracy", (row) => share(row.report.accuracy_representation), "number"],
        ["IIS", (row) => `${number(row.report.iis)} ${halfWidth(row.report.iis_low, row.report.iis_high)}`, "number"],
        ["Random", (row) => number(row.report.iis_random_mean), "number"],
        ["Gain", (row) => signed(row.report.concept_gain), "number"],
        ["Its interval", (row) => interval(row.report.concept_gain_low, row.report.concept_gain_high), "number"],
        ["IIS over log k", (row) => number(row.report.iis_log), "number"],
      ],
      rows,
    ),
  );
}
