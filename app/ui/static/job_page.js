// Page of one job: its progress while it runs, then its result or error.

import { get, post } from "./api.js";
import { announce, byId, el, errorNotice, loadInto } from "./dom.js";
import { EndNotification } from "./end_notification.js";
import { explainResult } from "./explain_result.js";
import { finetuneResult } from "./finetune_result.js";
import { formatTime } from "./formatting.js";
import { isFinished, stateName, stateSymbol, titleWithProgress } from "./job_formatting.js";
import { loadJob, showJobTools, showState } from "./job_heading.js";
import { followJob } from "./job_updates.js";
import { ProgressView } from "./progress_view.js";
import { scoreResult } from "./score_result.js";
import { isShared } from "./share_access.js";
import { TrainingView } from "./training.js";
import { usageSection } from "./usage_section.js";

/** @import { Job } from "../types.d.ts" */

const QUEUE_MILLISECONDS = 5000; // between reads of a queued job's place
const body = byId("job");

await loadInto(body, "Loading the job …", async () => view(await loadJob()));

/** @param {Job} job */
function view(job) {
  showState(job);
  if (job.state === "succeeded") return resultView(job);
  if (job.state === "failed") return [...failureView(job), usageSection(job)];
  if (job.state === "canceled") return [el("p", { class: "notice" }, `This job was canceled on ${formatTime(job.canceled_at)}.`), submitLink(job)];
  return progressView(job);
}

/** @param {Job} job */
async function resultView(job) {
  return [...(await resultOf(job)), isShared() ? null : usageSection(job)];
}

/** @param {Job} job */
function resultOf(job) {
  if (job.kind === "score") return scoreResult(job);
  if (job.kind === "explain") return explainResult(job);
  return finetuneResult(job);
}

/** @param {Job} job */
function progressView(job) {
  const progress = new ProgressView();
  progress.showJob(job);
  const notification = new EndNotification();
  const training = new TrainingView();
  const cancel = el("button", { type: "button" }, "Cancel job");
  const problem = el("div");
  cancel.addEventListener("click", async () => {
    cancel.disabled = true;
    try {
      showState(await post(job.links.cancel));
    } catch (error) {
      problem.replaceChildren(errorNotice(error));
      cancel.disabled = false;
    }
  });
  const title = document.title;
  let state = job.state;
  const queue = setInterval(async () => {
    if (state !== "queued") return clearInterval(queue);
    if (!document.hidden) await get(job.links.self).then((/** @type {Job} */ current) => state === "queued" && progress.showJob(current), () => null);
  }, QUEUE_MILLISECONDS);
  followJob(job, {
    onEvent: (...event) => {
      if (event[0] === "epoch") training.add(event[1]);
      else progress.handle(...event);
      if (event[0] === "progress") document.title = titleWithProgress(title, event[1]);
    },
    onJob: (current) => {
      state = current.state;
      showState(current);
      progress.showJob(current);
      if (current.progress && current.state === "running") document.title = titleWithProgress(title, current.progress);
      if (!isFinished(current.state)) return;
      document.title = `${stateSymbol(current.state)} ${title}`;
      announce(`The job is ${stateName(current.state)}.`);
      notification.show(title, `The job is ${stateName(current.state)}.`);
      showJobTools(current);
      loadInto(body, "Loading the result …", () => view(current));
    },
  });
  return [progress.node, el("p", { class: "actions" }, cancel, notification.node), problem, training.node];
}

/** @param {Job} job */
function failureView(job) {
  const { error } = job;
  const parameter = error?.param ? el("p", { class: "help" }, "Parameter: ", el("code", {}, error.param)) : null;
  return [el("div", { class: "notice error" }, el("h2", {}, "Job failed"), el("p", {}, error?.message), parameter), submitLink(job)];
}

/** @param {Job} job */
function submitLink({ id, kind }) {
  if (kind === "explain") return el("p", {}, el("a", { class: "button", href: "/submit" }, "Submit another job"));
  return el("p", {}, el("a", { class: "button", href: `/submit?job=${id}` }, "Submit again with changes"));
}
