// One row of the job list: name, description, state, progress or main numbers, cancel button. Scores come with the list itself.

import { post } from "./api.js";
import { announce, el, errorNotice } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { formatCount, formatHalfWidth, formatNumber, formatPercent, formatSigned, formatTime, isMissing } from "./formatting.js";
import { describeJob, describeProgress, isFinished, stateName } from "./job_formatting.js";
import { stateLabel } from "./job_heading.js";
import { tagLinks } from "./list_filters.js";
import { describeVerdict, quantityName } from "./report_formatting.js";
import { datasetName, modelName } from "./resource_names.js";
import { valueScale } from "./score_scale.js";

/** @import { ExplainSummary, FinetuneSummary, Job, Progress, ScoreSummary } from "../types.d.ts" */

const iisAbbreviation = () => el("abbr", { title: "Inherent Interpretability Score" }, "IIS");

export class JobRow {
  /**
   * @param {Job} job
   * @param {() => void} onChange called when the state or the choice has changed
   */
  constructor(job, onChange) {
    this.job = job;
    this.onChange = onChange;
    this.name = job.name ? escapeInvisible(job.name) : modelName(job);
    this.description = `${this.name}, ${describeJob(job)}, ${datasetName(job)}`;
    this.state = el("p", { class: "job-state" });
    this.link = el("a", { href: `/jobs/${job.id}`, class: "job-name" }, this.name);
    this.box = el("input", { type: "checkbox", "aria-label": `Choose ${this.description}`, onchange: onChange });
    this.outcome = el("div", { class: "job-outcome" });
    this.cancelButton = el("button", { type: "button", class: "subtle", onclick: () => this.cancel() }, "Cancel");
    this.cancelButton.setAttribute("aria-label", `Cancel ${this.name}, ${describeJob(job)}`);
    this.actions = el("div", { class: "job-actions" });
    const time = el("time", { datetime: job.created_at }, formatTime(job.created_at));
    const model = job.name ? [modelName(job), " · "] : [];
    const about = el("p", { class: "job-about" }, model, datasetName(job), " · ", describeJob(job), " · ", time);
    this.node = el(
      "li",
      { class: "job" },
      el("div", { class: "job-choice" }, this.box, this.state),
      el("div", { class: "job-description" }, this.link, about, tagLinks("/", job.tags)),
      this.outcome,
      this.actions,
    );
    this.show(job);
  }

  /** @param {Job} job */
  show(job) {
    const justFinished = isFinished(job.state) && !isFinished(this.job.state);
    this.job = job;
    this.state.className = `job-state ${job.state}`;
    this.state.replaceChildren(...stateLabel(job.state));
    this.actions.replaceChildren(...(["queued", "running"].includes(job.state) ? [this.cancelButton] : []));
    if (justFinished) announce(`${this.name}: ${stateName(job.state)}.`);
    if (job.state === "succeeded") this.showResult(job);
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

  /** @param {Job} job */
  showResult(job) {
    if (!job.summary) this.outcome.replaceChildren();
    else if (job.kind === "score") this.outcome.replaceChildren(...scoreSummary(job.summary));
    else if (job.kind === "explain") this.outcome.replaceChildren(explainSummary(job.summary));
    else this.outcome.replaceChildren(finetuneSummary(job.summary));
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

/** @param {ScoreSummary} summary */
function scoreSummary(summary) {
  const { verdict, accuracy, few_concepts_mean: few, iis, iis_low: low, iis_high: high, gain_isotropic: isotropic, gain_matched: matched } = summary;
  const { symbol, tone, title } = verdict ? describeVerdict({ code: verdict }) : { symbol: "", tone: "neutral", title: "" };
  /** @param {number | null} gain */
  const control = (gain) => (isMissing(iis) || isMissing(gain) ? null : iis - gain);
  const numbers = el(
    "p",
    { class: "job-numbers" },
    el("span", {}, iisAbbreviation(), " ", el("strong", {}, formatNumber(iis)), " ", formatHalfWidth(low, high)),
    el("span", {}, " gain ", el("strong", {}, formatSigned(matched))),
    el("span", {}, " few concepts ", el("strong", {}, formatPercent(few))),
    el("span", {}, ` ${quantityName(summary)} `, el("strong", {}, formatPercent(accuracy))),
  );
  return [
    verdict ? el("p", { class: `job-verdict ${tone}` }, el("span", { class: "verdict-symbol", "aria-hidden": "true" }, symbol), " ", title) : "",
    numbers,
    valueScale({ value: iis, low, high }, { isotropic: control(isotropic), matched: control(matched) }),
  ];
}

/** @param {ExplainSummary} summary */
function explainSummary({ count, failed, agreement }) {
  const unread = failed ? `, ${formatCount(failed, "unreadable", "unreadable")}` : "";
  return el("p", {}, `${formatCount(count, "image")}${unread}, agreement ${formatPercent(agreement)}`);
}

/** @param {FinetuneSummary} summary */
function finetuneSummary(summary) {
  const { accuracy_before, accuracy_after, iis_before, iis_after, iis_over_control: change, iis_over_control_low: low, iis_over_control_high: high } = summary;
  return el(
    "p",
    { class: "job-numbers" },
    el("span", {}, iisAbbreviation(), ` ${formatNumber(iis_before)} → `, el("strong", {}, formatNumber(iis_after))),
    el("span", {}, " ", el("strong", {}, formatSigned(change)), ` vs control ${formatHalfWidth(low, high)}`),
    el("span", {}, ` accuracy ${formatPercent(accuracy_before)} → `, el("strong", {}, formatPercent(accuracy_after))),
  );
}
