// Progress of a running job: the job as a whole, its current stage, and all its stages with their states.

import { announce, el } from "./dom.js";
import { formatDuration, isMissing } from "./formatting.js";
import { describeOverall, describeProgress, describeQueue } from "./job_formatting.js";

/** @import { Job, JobStage, Progress, StageEvent, StateEvent } from "../types.d.ts" */
/** @import { JobEvent } from "./job_updates.js" */

/** @type {Record<string, string>} */
const STAGE_STATES = {
  waiting: "waiting",
  started: "running",
  running: "running",
  finished: "done",
  reused: "reused from an earlier job",
  skipped: "not needed",
  stopped: "stopped",
};

export class ProgressView {
  constructor() {
    /** @type {Map<string, HTMLElement>} */
    this.stages = new Map();
    this.list = el("ol", { class: "stages" });
    this.bar = el("progress", { "aria-label": "Progress of the job" });
    this.overall = el("p", { class: "progress-overall" });
    this.status = el("p", { class: "progress-status" }, describeQueue(null));
    const heading = el("h2", { id: "progress-title" }, "Progress");
    this.node = el("section", { "aria-labelledby": "progress-title", class: "progress" }, heading, this.bar, this.overall, this.status, this.list);
  }

  /**
   * Show the whole job: its place in the queue, its stages and its progress.
   * @param {Job} job
   */
  showJob({ state, queue_position: position, stages, progress }) {
    if (state === "queued") this.status.textContent = describeQueue(position);
    for (const stage of stages ?? []) this.showListed(stage);
    if (progress) this.showProgress(progress);
  }

  /** @param {JobEvent} event */
  handle(...[type, data]) {
    if (type === "stage") this.showStage(data);
    if (type === "progress") this.showProgress(data);
    if (type === "state" && data.state === "running") this.showStart(data);
  }

  /** @param {StateEvent} event */
  showStart({ attempt }) {
    this.stages.clear();
    this.list.replaceChildren();
    this.status.textContent = attempt > 1 ? `Started by a worker, attempt ${attempt}.` : "Started by a worker.";
  }

  /**
   * A stage with its expected duration, before it starts.
   * @param {JobStage} stage
   */
  showListed({ title, state, seconds, expected_seconds: expected }) {
    const duration = state === "waiting" && !isMissing(expected) && expected >= 1 ? `, about ${formatDuration(expected)}` : "";
    this.setStage(title, state, seconds ? `, ${formatDuration(seconds)}` : duration);
  }

  /** @param {StageEvent} event */
  showStage({ title, state, seconds }) {
    if (!(state in STAGE_STATES)) return;
    this.setStage(title, state, seconds ? `, ${formatDuration(seconds)}` : "");
    if (state === "started") announce(`${title}.`);
  }

  /**
   * @param {string} title
   * @param {string} state
   * @param {string} duration
   */
  setStage(title, state, duration) {
    let item = this.stages.get(title);
    if (!item) {
      item = el("li");
      this.stages.set(title, item);
      this.list.append(item);
    }
    item.className = state === "running" ? "started" : state;
    item.replaceChildren(title, el("span", { class: "stage-state" }, `${STAGE_STATES[state] ?? state}${duration}`));
  }

  /** @param {Progress} progress */
  showProgress(progress) {
    const { overall } = progress;
    const [done, total] = overall ? [overall.share_done, 1] : [progress.done, progress.total];
    if (total > 0) {
      this.bar.max = total;
      this.bar.value = done;
    } else this.bar.removeAttribute("value");
    this.overall.textContent = overall ? `${describeOverall(overall)}.` : "";
    this.status.textContent = describeProgress(progress);
  }
}
