// The list of jobs: newest first, those that run followed live, older ones on demand.

import { get, post } from "./api.js";
import { byId, el, empty, fill, problemView, say } from "./dom.js";
import { follow } from "./live.js";
import { datasetName, modelName } from "./names.js";
import { scaleMark } from "./scale.js";
import { FINISHED, counted, halfWidth, jobWords, number, progressWords, share, signed, stateMark, stateWord, when } from "./words.js";

const PAGE_JOBS = 20;
const STREAMS = 3; // a browser opens six connections to one address; the page needs some for itself
const REFRESH_MILLISECONDS = 3000;

const list = byId("jobs");
const older = byId("older");
const filter = byId("state");
const underWay = byId("under-way");
const rows = new Map();
const followed = new Map();
let next = null;

class Row {
  constructor(job) {
    this.job = job;
    this.state = el("p", { class: "job-state" });
    this.model = el("a", { href: `/jobs/${job.id}`, class: "job-name" }, job.model ?? "Ready features");
    this.dataset = el("span", {}, job.dataset);
    this.outcome = el("div", { class: "job-outcome" });
    this.cancel = el("button", { type: "button", class: "quiet", onclick: () => this.ask() }, "Cancel");
    this.actions = el("div", { class: "job-actions" });
    const about = el("p", { class: "job-about" }, this.dataset, " · ", jobWords(job), " · ", el("time", { datetime: job.created_at }, when(job.created_at)));
    this.node = el("li", { class: "job" }, this.state, el("div", { class: "job-what" }, this.model, about), this.outcome, this.actions);
    modelName(job).then((name) => {
      this.model.textContent = name;
      showUnderWay();
      this.cancel.setAttribute("aria-label", `Cancel ${name}, ${jobWords(job)}`);
    });
    datasetName(job).then((name) => (this.dataset.textContent = name));
    this.show(job);
  }

  show(job) {
    const ended = FINISHED.includes(job.state) && !FINISHED.includes(this.job.state);
    this.job = job;
    this.state.className = `job-state ${job.state}`;
    this.state.replaceChildren(el("span", { "aria-hidden": "true", class: "state-mark" }, stateMark(job.state)), " ", stateWord(job.state));
    this.actions.replaceChildren(...(["queued", "running"].includes(job.state) ? [this.cancel] : []));
    if (ended) say(`${this.model.textContent}: ${stateWord(job.state)}.`);
    if (job.state === "succeeded") this.showResult();
    else if (job.state === "failed") this.outcome.replaceChildren(el("p", { class: "job-error" }, job.error.message));
    else if (job.progress && !FINISHED.includes(job.state)) this.showProgress(job.progress);
    else this.outcome.replaceChildren();
    showUnderWay();
  }

  showProgress(progress) {
    const bar = el("progress", progress.total > 0 ? { max: progress.total, value: progress.done } : {});
    bar.setAttribute("aria-label", stateWord(this.job.state));
    this.outcome.replaceChildren(bar, el("p", { class: "help" }, progressWords(progress)));
  }

  async showResult() {
    try {
      const result = await get(this.job.links.result);
      if (result.kind === "explain") {
        const { count, agreement } = result.summary;
        this.outcome.replaceChildren(el("p", { class: "job-score" }, `${counted(count, "image")}, agreement ${share(agreement)}`));
        return;
      }
      if (result.kind === "finetune") {
        const { mean, low, high } = result.differences.iis.treatment_minus_control;
        this.outcome.replaceChildren(el("p", { class: "job-score" }, el("abbr", { title: "Inherent Interpretability Score" }, "IIS"), " ", el("strong", {}, signed(mean)), ` to the control ${halfWidth(low, high)}`));
        return;
      }
      const { report } = result;
      const score = el("p", { class: "job-score" }, el("abbr", { title: "Inherent Interpretability Score" }, "IIS"), " ", el("strong", {}, number(report.iis)), " ", halfWidth(report.iis_low, report.iis_high));
      this.outcome.replaceChildren(score, scaleMark(report));
    } catch (error) {
      this.outcome.replaceChildren(el("p", { class: "job-error" }, error.message));
    }
  }

  async ask() {
    this.cancel.disabled = true;
    try {
      this.show(await post(this.job.links.cancel));
    } catch (error) {
      this.outcome.replaceChildren(problemView(error));
    } finally {
      this.cancel.disabled = false;
    }
  }
}

const unfinished = () => [...rows.values()].filter((row) => !FINISHED.includes(row.job.state));

// What runs stands below all that waits, as it was submitted earlier: it is named above the list.
function showUnderWay() {
  const running = unfinished().filter((row) => row.job.state === "running");
  const queued = unfinished().filter((row) => row.job.state === "queued").length;
  underWay.hidden = !running.length || !queued;
  const named = running.map((row) => [row.job.id, row.model.textContent]);
  const told = JSON.stringify([named, queued]);
  if (underWay.hidden || underWay.dataset.told === told) return; // a link may have the focus
  underWay.dataset.told = told;
  const links = named.map(([id, name], index) => [index ? ", " : "", el("a", { href: `/jobs/${id}` }, name)]);
  underWay.replaceChildren(`Listed below: ${running.length} running (`, ...links.flat(), `), ${queued} queued.`);
}

function followSome() {
  for (const row of unfinished()) {
    if (followed.size >= STREAMS) return;
    if (followed.has(row.job.id)) continue;
    const onJob = (job) => {
      row.show(job);
      if (!FINISHED.includes(job.state)) return;
      followed.get(job.id)?.();
      followed.delete(job.id);
      followSome();
    };
    followed.set(row.job.id, follow(row.job, { onJob, onEvent: (type, data) => type === "progress" && row.showProgress(data) }));
  }
}

function address() {
  return `/v1/jobs?limit=${PAGE_JOBS}${filter.value ? `&state=${filter.value}` : ""}`;
}

function add(page) {
  const made = page.data.filter((job) => !rows.has(job.id)).map((job) => new Row(job));
  for (const row of made) rows.set(row.job.id, row);
  next = page.links.next ?? null;
  older.hidden = next === null;
  showUnderWay();
  followSome();
  return made;
}

function nothing() {
  if (filter.value) return empty("No such jobs", "None of your jobs is in this state.");
  return el("div", { class: "empty" }, el("h2", {}, "No jobs yet"), el("p", {}, "Send a checkpoint and labelled images, and the first score will stand here."), el("p", {}, el("a", { class: "button primary", href: "/submit" }, "Submit a job")));
}

function show() {
  for (const stop of followed.values()) stop();
  followed.clear();
  rows.clear();
  showUnderWay();
  older.hidden = true;
  return fill(list, "Reading your jobs …", async () => {
    const made = add(await get(address()));
    return made.length ? el("ol", { class: "job-list", id: "job-list" }, made.map((row) => row.node)) : nothing();
  });
}

older.addEventListener("click", async () => {
  older.disabled = true;
  try {
    const made = add(await get(next));
    byId("job-list").append(...made.map((row) => row.node));
    made[0]?.model.focus();
  } catch (error) {
    list.append(problemView(error));
  } finally {
    older.disabled = false;
  }
});

// Those that no stream follows, and jobs that someone else has submitted since.
async function refresh() {
  if (!document.hidden && unfinished().some((row) => !followed.has(row.job.id))) {
    const page = await get(address()).catch(() => ({ data: [] }));
    for (const job of page.data) if (!followed.has(job.id)) rows.get(job.id)?.show(job);
    followSome();
  }
  setTimeout(refresh, REFRESH_MILLISECONDS);
}

filter.addEventListener("change", show);
await show();
refresh();
