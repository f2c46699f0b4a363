// One row of the job list: name, description, state, progress or result, cancel button.

import { get, post } from "./api.js";
import { announce, el, errorNotice } from "./dom.js";
import { asPageError } from "./errors.js";
import { formatCount, formatHalfWidth, formatNumber, formatPercent, formatSigned, formatTime } from "./formatting.js";
import { describeJob, describeProgress, isFinished, stateName } from "./job_formatting.js";
import { stateLabel } from "./job_heading.js";
import { datasetName, modelName } from "./resource_names.js";
import { scoreScale } from "./score_scale.js";

/** @import { ExplainResult, FinetuneResult, Job, Progress, ScoreResult } from "../types.d.ts" */

const iisAbbreviation = () => el("abbr", { title: "Inherent Interpretability Score" }, "IIS");

export class JobRow {
  /**
   * @param {Job} job
   * @param {() => void} onChange called when the name or the state has changed
   */
  constructor(job, onChange) {
    this.job = job;
    this.onChange = onChange;
    this.state = el("p", { class: "job-state" });
    this.link = el("a", { href: `/jobs/${job.id}`, class: "job-name" }, job.model ?? "Precomputed features");
    this.dataset = el("span", {}, job.dataset);
    this.outcome = el("div", { class: "job-outcome" });
    this.cancelButton = el("button", { type: "button", class: "subtle", onclick: () => this.cancel() }, "Cancel");
    this.actions = el("div", { class: "job-actions" });
    const time = el("time", { datetime: job.created_at }, formatTime(job.created_at));
    const about = el("p", { class: "job-about" }, this.dataset, " · ", describeJob(job), " · ", time);
    this.node = el("li", { class: "job" }, this.state, el("div", { class: "job-description" }, this.link, about), this.outcome, this.actions);
    this.showNames();
    this.show(job);
  }

  get name() {
    return this.link.textContent ?? "";
  }

  async showNames() {
    const [model, dataset] = await Promise.all([modelName(this.job), datasetName(this.job)]);
    this.link.textContent = model;
    this.dataset.textContent = dataset;
    this.cancelButton.setAttribute("aria-label", `Cancel ${model}, ${describeJob(this.job)}`);
    this.onChange();
  }

  /** @param {Job} job */
  show(job) {
    const justFinished = isFinished(job.state) && !isFinished(this.job.state);
    this.job = job;
    this.state.className = `job-state ${job.state}`;
    this.state.replaceChildren(...stateLabel(job.state));
    this.actions.replaceChildren(...(["queued", "running"].includes(job.state) ? [this.cancelButton] : []));
    if (justFinished) announce(`${this.name}: ${stateName(job.state)}.`);
    if (job.state === "succeeded") this.showResult();
    else if (job.state === "failed") this.showError(job.error?.message ?? "");
    else if (job.progress && !isFinished(job.state)) this.showProgress(job.progress);
    else this.outcome.replaceChildren();
    this.onChange();
  }

  /** @param {Progress} progress */
  showProgress(progress) {
    const bar = el("progress", progress.total > 0 ? { max: progress.total, value: progress.done } : {});
    bar.setAttribute("aria-label", stateName(this.job.state));
    this.outcome.replaceChildren(bar, el("p", { class: "help" }, describeProgress(progress)));
  }

  /** @param {string} message */
  showError(message) {
    this.outcome.replaceChildren(el("p", { class: "job-error" }, message));
  }

  async showResult() {
    try {
      /** @type {ScoreResult | ExplainResult | FinetuneResult} */
      const result = await get(this.job.links.result);
      this.outcome.replaceChildren(...resultSummary(result));
    } catch (error) {
      this.showError(asPageError(error).message);
    }
  }

  async cancel() {
    this.cancelButton.disabled = true;
    try {
      this.show(await post(this.job.links.cancel));
    } catch (error) {
      this.outcome.replaceChildren(errorNotice(error));
    } finally {
      this.cancelButton.disabled = false;
    }
  }
}

/**
 * @param {ScoreResult | ExplainResult | FinetuneResult} result
 * @returns {Element[]}
 */
function resultSummary(result) {
  if (result.kind === "explain") {
    const { count, agreement } = result.summary;
    return [el("p", {}, `${formatCount(count, "image")}, agreement ${formatPercent(agreement)}`)];
  }
  if (result.kind === "finetune") {
    const { mean, low, high } = result.differences.iis.treatment_minus_control;
    return [el("p", {}, iisAbbreviation(), " ", el("strong", {}, formatSigned(mean)), ` vs control ${formatHalfWidth(low, high)}`)];
  }
  const { iis, iis_low: low, iis_high: high } = result.report;
  return [el("p", {}, iisAbbreviation(), " ", el("strong", {}, formatNumber(iis)), " ", formatHalfWidth(low, high)), scoreScale(result.report)];
}
