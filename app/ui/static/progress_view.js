// A job on its way: every stage with its state, and how far the present one is.

import { el, say } from "./dom.js";
import { duration, progressWords, stageWords } from "./words.js";

const STATE_WORDS = { started: "under way", finished: "done", reused: "taken from an earlier job" };

export class ProgressView {
  constructor() {
    this.stages = new Map();
    this.list = el("ol", { class: "stages" });
    this.bar = el("progress", { "aria-label": "Progress of the present stage" });
    this.words = el("p", { class: "progress-words" }, "Waiting for a worker.");
    this.node = el("section", { "aria-labelledby": "progress-title", class: "progress" }, el("h2", { id: "progress-title" }, "Under way"), this.bar, this.words, this.list);
  }

  take(type, data) {
    if (type === "stage") this.takeStage(data);
    if (type === "progress") this.takeProgress(data);
    if (type === "state" && data.state === "running") this.takeStart(data);
  }

  takeStart({ attempt }) {
    this.stages.clear();
    this.list.replaceChildren();
    this.words.textContent = attempt > 1 ? `A worker has taken the job, for the ${attempt === 2 ? "second" : "third"} time.` : "A worker has taken the job.";
  }

  takeStage({ stage, part, state, seconds }) {
    if (!(state in STATE_WORDS)) return;
    const words = stageWords(stage, part);
    if (!this.stages.has(words)) {
      this.stages.set(words, el("li", {}));
      this.list.append(this.stages.get(words));
    }
    const took = seconds ? `, ${duration(seconds)}` : "";
    const item = this.stages.get(words);
    item.className = state;
    item.replaceChildren(words, el("span", { class: "stage-state" }, `${STATE_WORDS[state]}${took}`));
    if (state === "started") say(`${words}.`);
  }

  takeProgress(progress) {
    if (progress.total > 0) {
      this.bar.max = progress.total;
      this.bar.value = progress.done;
    } else this.bar.removeAttribute("value");
    this.words.textContent = progressWords(progress);
  }
}
