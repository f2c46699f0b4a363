// The result of one job: the score in words and numbers, the curve to hover over, warnings, downloads. While it runs, its progress.

import { all, get, post } from "./api.js";
import { colour } from "./charts.js";
import { curveChoices, curveTable, drawCurves } from "./curves.js";
import { byId, el, fill, problemView, say, table } from "./dom.js";
import { finetuned } from "./finetune_result.js";
import { readJob, showState } from "./job_heading.js";
import { follow } from "./live.js";
import { ProgressView } from "./progress_view.js";
import { scaleMark } from "./scale.js";
import { TrainingView } from "./training.js";
import { FINISHED, counted, halfWidth, interval, missing, number, reportSentences, share, shareInterval, signed, stateWord, when } from "./words.js";

const MOST_PREDICTORS = 100;
const MOST_CLASSES = 20;

const body = byId("job");
const LIBRARY_LINE = () => ({ colour: colour("series-0"), dash: "solid", symbol: "circle" });
const RANDOM_LINE = () => ({ colour: colour("random"), dash: "dash", symbol: "diamond-open" });

const FOUND = { score: succeeded, explain: explained, finetune: finetuned };

await fill(body, "Reading the job …", async () => {
  const { job } = await readJob();
  return show(job);
});

function show(job) {
  showState(job);
  if (job.state === "succeeded") return FOUND[job.kind](job);
  if (job.state === "failed") return failed(job);
  if (job.state === "canceled") return [el("p", { class: "notice" }, `This job was canceled on ${when(job.canceled_at)}.`), ...again()];
  return underWay(job);
}

function underWay(job) {
  const progress = new ProgressView();
  const training = new TrainingView();
  const cancel = el("button", { type: "button" }, "Cancel this job");
  const problem = el("div");
  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    try {
      showState(await post(job.links.cancel));
    } catch (error) {
      problem.replaceChildren(problemView(error));
      cancel.disabled = false;
    }
  });
  follow(job, {
    onEvent: (type, data) => (type === "epoch" ? training.take(data) : progress.take(type, data)),
    onJob: (fresh) => {
      showState(fresh);
      if (fresh.progress) progress.takeProgress(fresh.progress);
      if (!FINISHED.includes(fresh.state)) return;
      say(`The job has ${fresh.state === "succeeded" ? "finished" : stateWord(fresh.state)}.`);
      fill(body, "Reading the result …", () => show(fresh));
    },
  });
  return [progress.node, el("p", {}, cancel), problem, training.node];
}

function failed(job) {
  const param = job.error.param ? el("p", { class: "help" }, "The setting at fault: ", el("code", {}, job.error.param)) : null;
  return [el("div", { class: "notice problem" }, el("h2", {}, "Why it failed"), el("p", {}, job.error.message), param), ...again()];
}

function again() {
  return [el("p", {}, el("a", { class: "button", href: "/submit" }, "Submit another job"))];
}

async function succeeded(job) {
  const [result, curves, plots] = await Promise.all([get(job.links.result), get(job.links.curves), get(job.links.plots)]);
  const predictors = await all(job.links.predictors, MOST_PREDICTORS);
  const { report } = result;
  return [headline(report), warnings(report), curveSection(curves), figures(report), perClass(job), classifiers(predictors), downloads(job, result, curves, plots)].filter(Boolean);
}

async function explained(job) {
  const { summary, kept } = await get(job.links.result);
  const rows = [
    ["Images explained", counted(summary.count - summary.failed, "image")],
    ["Images that could not be read", number(summary.failed, 0)],
    ["Concepts kept", number(kept, 0)],
    ["Interpretation and representation agree", share(summary.agreement)],
    ["Accuracy of the representation", share(summary.accuracy_representation)],
    ["Accuracy of the interpretation", share(summary.accuracy_interpretation)],
  ].filter(([, value]) => value !== "–");
  const file = (suffix, words) => el("li", {}, el("a", { href: job.links[`rows.${suffix}`], download: `${job.id}.${suffix}` }, words));
  return [
    el("section", { "aria-labelledby": "figures" }, el("h2", { id: "figures" }, "What was explained"), table("Summary", [["", (row) => row[0]], ["Value", (row) => row[1], "number"]], rows)),
    el("section", { "aria-labelledby": "downloads" }, el("h2", { id: "downloads" }, "To take away"), el("ul", { class: "downloads" }, file("jsonl", "Every explanation, JSON Lines"), file("parquet", "Every explanation, Parquet"))),
    el("p", {}, el("a", { href: `/jobs/${job.job}` }, "The score that was explained")),
  ];
}

// A worker answers this one, which may take a moment; the page does not wait for it.
function perClass(job) {
  if (job.protocol !== "exact") return null;
  const found = el("div");
  queueMicrotask(() => fill(found, "Asking for the classes …", async () => {
    const { data, kept, concept_count: count } = await get(job.links.classes);
    const columns = [
      ["Class", (one) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(one.class)}` }, one.class)],
      ["Test images", (one) => number(one.test_images, 0), "number"],
      ["Whole representation", (one) => share(one.accuracy.representation), "number"],
      [`${kept} of ${count} concepts`, (one) => share(one.accuracy.interpretation), "number"],
    ];
    const worst = data.toSorted((one, other) => one.accuracy.interpretation - other.accuracy.interpretation).slice(0, MOST_CLASSES);
    const more = data.length > MOST_CLASSES ? el("p", { class: "help" }, `The ${MOST_CLASSES} that the concepts tell worst, of ${data.length}.`) : null;
    return [more, table("Accuracy by class", columns, worst)].filter(Boolean);
  }));
  return el("section", { "aria-labelledby": "per-class" }, el("h2", { id: "per-class" }, "Accuracy by class"), found);
}

function classifiers(predictors) {
  if (!predictors.length) return null;
  const file = (one, suffix) => el("a", { href: one.links[suffix], download: `${one.id}.${suffix}`, "aria-label": `The classifier by ${counted(one.kept, "concept")} as ${suffix}` }, suffix);
  const columns = [
    ["Concepts kept", (one) => number(one.kept, 0), "number"],
    ["Accuracy", (one) => share(one.accuracy), "number"],
    ["Retained", (one) => number(one.arr), "number"],
    ["Files", (one) => el("span", {}, file(one, "safetensors"), " ", file(one, "onnx"))],
  ];
  const shown = table("Classifiers", columns, predictors.toSorted((one, other) => other.kept - one.kept));
  const about = "Each point of the curve is a classifier of its own: it names a class by the concepts it keeps.";
  return el("details", {}, el("summary", {}, "Take a classifier from the curve"), el("p", { class: "help" }, about), shown);
}

function headline(report) {
  const score = el(
    "div",
    { class: "score" },
    el("p", { class: "score-name" }, "IIS"),
    el("p", { class: "score-value" }, number(report.iis), " ", el("span", { class: "score-interval" }, halfWidth(report.iis_low, report.iis_high))),
    scaleMark(report),
  );
  const other = (name, value, note) => el("div", {}, el("dt", {}, name), el("dd", {}, el("strong", {}, value), " ", el("span", { class: "help" }, note)));
  const beside = el(
    "dl",
    { class: "beside" },
    other("Random directions", number(report.iis_random_mean), missing(report.iis_random_sd) ? "" : `sd ${number(report.iis_random_sd)}`),
    other("Concept gain", signed(report.concept_gain), interval(report.concept_gain_low, report.concept_gain_high)),
    other("Accuracy of the representation", share(report.accuracy_representation), `chance ${share(report.chance)}`),
  );
  const words = reportSentences(report).map((sentence) => el("p", {}, sentence));
  return el("section", { class: "headline", "aria-label": "The score" }, score, beside, el("div", { class: "in-words" }, words));
}

function warnings(report) {
  if (!report.warnings?.length) return null;
  const heading = report.warnings.length === 1 ? "Mind this" : "Mind these";
  return el("section", { class: "notice caution", "aria-labelledby": "warnings" }, el("h2", { id: "warnings" }, heading), el("ul", {}, report.warnings.map((text) => el("li", {}, text))));
}

function curveSection(curves) {
  const names = { library: ["Concepts", LIBRARY_LINE], random_control: ["Random directions", RANDOM_LINE] };
  const series = curves.data.map(({ name, points }) => ({ name: names[name]?.[0] ?? name, points, style: names[name]?.[1] }));
  const plot = el("div", { class: "plot", role: "img", "aria-label": curveSummary(series) });
  const problem = el("div");
  const redraw = (choices) => drawCurves(plot, series, choices).catch((error) => problem.replaceChildren(problemView(error)));
  queueMicrotask(() => requestAnimationFrame(() => redraw({ axis: "sparsity", corrected: false })));
  return el(
    "section",
    { "aria-labelledby": "curve" },
    el("h2", { id: "curve" }, "Accuracy retained as concepts are taken away"),
    el("p", { class: "help" }, "IIS is the area under the solid line. The shade is the 95 % interval."),
    curveChoices(redraw),
    plot,
    problem,
    curveTable("Points of the curves", series),
  );
}

function curveSummary(series) {
  const ends = series.map(({ name, points }) => {
    const sorted = points.toSorted((one, other) => one.sparsity - other.sparsity);
    const half = sorted.find((point) => point.sparsity >= 0.5) ?? sorted.at(-1);
    return `${name}: ${number(sorted[0].arr, 2)} with all concepts, ${number(half.arr, 2)} at sparsity ${number(half.sparsity, 2)}`;
  });
  return `Curves of accuracy retained over sparsity. ${ends.join(". ")}. A table follows.`;
}

function figures(report) {
  const few = Object.entries(report.few_concepts ?? {}).map(([count, accuracy]) => [`Accuracy with ${count} effective concepts`, share(accuracy), ""]);
  const rows = [
    ["IIS", number(report.iis), interval(report.iis_low, report.iis_high)],
    ["IIS of random directions", number(report.iis_random_mean), ""],
    ["Standard deviation of that over sets of directions", number(report.iis_random_sd), ""],
    ["Concept gain", signed(report.concept_gain), interval(report.concept_gain_low, report.concept_gain_high)],
    ["IIS, corrected for chance", number(report.iis_chance_corrected), ""],
    ["IIS over the logarithm of concepts kept", number(report.iis_log), ""],
    ["The same of random directions", number(report.iis_log_random), ""],
    ["IIS by the authors' trapezoid", number(report.iis_authors), ""],
    ["Accuracy of the representation", share(report.accuracy_representation), shareInterval(report.accuracy_representation_low, report.accuracy_representation_high)],
    ...few,
  ].filter(([, value]) => value !== "–");
  const counts = missing(report.train_count) ? "" : `${counted(report.train_count, "training image")}, ${counted(report.test_count, "test image")}, ${counted(report.class_names.length, "class", "classes")}, representation of ${counted(report.dimension, "dimension")}.`;
  return el(
    "section",
    { "aria-labelledby": "figures" },
    el("h2", { id: "figures" }, "All figures"),
    el("p", { class: "help" }, counts),
    table("All figures of the report", [["", (row) => row[0]], ["Value", (row) => row[1], "number"], ["95 % interval", (row) => row[2], "number"]], rows),
  );
}

function downloads(job, result, curves, plots) {
  const link = (href, words, filename) => el("li", {}, el("a", { href, download: filename }, words));
  const drawn = plots.data.map((plot) => link(plot.links.self, `${plot.name === "arr" ? "ARR figure" : "Accuracy figure"}, ${plot.format.toUpperCase()}`, `${job.id}-${plot.name}.${plot.format}`));
  return el(
    "section",
    { "aria-labelledby": "downloads" },
    el("h2", { id: "downloads" }, "To take away"),
    el(
      "ul",
      { class: "downloads" },
      drawn,
      link(curves.links.csv, "Points of the curves, CSV", `${job.id}-curves.csv`),
      link(result.links.self, "The whole report, JSON", `${job.id}.json`),
      result.links.library ? link(`${result.links.library}/download`, "The concept library, safetensors", `${result.library}.safetensors`) : null,
    ),
    el("p", { class: "help" }, "Job ", el("code", {}, job.id), `, submitted ${when(job.created_at)}, finished ${when(job.succeeded_at)}.`),
  );
}
