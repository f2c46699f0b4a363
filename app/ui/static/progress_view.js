// Progress of a running job: its stages with their states, and the progress of the current stage.

import { announce, el } from "./dom.js";
import { formatDuration } from "./formatting.js";
import { describeProgress } from "./job_formatting.js";

/** @import { Progress, StageEvent, StateEvent } from "../types.d.ts" */
/** @import { JobEvent } from "./job_updates.js" */

/** @type {Record<string, string>} */
const STAGE_STATES = { started: "running", finished: "done", reused: "reused from an earlier job" };

export class ProgressView {
  constructor() {
    /** @type {Map<string, HTMLElement>} */
    this.stages = new Map();
    this.list = el("ol", { class: "stages" });
    this.bar = el("progress", { "aria-label": "Progress of the current stage" });
    this.status = el("p", { class: "progress-status" }, "Waiting for a worker.");
    const heading = el("h2", { id: "progress-title" }, "Progress");
    this.node = el("section", { "aria-labelledby": "progress-title", class: "progress" }, heading, this.bar, this.status, this.list);
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

  /** @param {StageEvent} event */
  showStage({ title, state, seconds }) {
    if (!(state in STAGE_STATES)) return;
    let item = this.stages.get(title);
    if (!item) {
      item = el("li");
      this.stages.set(title, item);
      this.list.append(item);
    }
    const duration = seconds ? `, ${formatDuration(seconds)}` : "";
    item.className = state;
    item.replaceChildren(title, el("span", { class: "stage-state" }, `${STAGE_STATES[state]}${duration}`));
    if (state === "started") announce(`${title}.`);
  }

  /** @param {Progress} progress */
  showProgress(progress) {
    if (progress.total > 0) {
      this.bar.max = progress.total;
      this.bar.value = progress.done;
    } else this.bar.removeAttribute("value");
    this.status.textContent = describeProgress(progress);
  }
}
