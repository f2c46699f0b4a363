// Progress of a study, with actions: cancel, retry, failure reasons. The elements are kept between updates, so that focus is preserved.

import { getAll, post } from "./api.js";
import { announce, el, errorNotice, loadInto } from "./dom.js";
import { formatInteger } from "./formatting.js";
import { countEnded, describeJobCounts } from "./study_formatting.js";

/** @import { Study, StudyCell } from "../types.d.ts" */

const MAX_CELLS = 1000;
const MAX_FAILURES = 20;

export class StudyProgress {
  /** @param {(study: Study) => void} onChange called after an action has changed the study */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {Study | null} */
    this.study = null;
    this.bar = el("progress", { "aria-label": "Finished jobs" });
    this.status = el("p", { class: "progress-status", tabindex: "-1" });
    this.cancel = this.actionButton("Cancel", "cancel");
    this.retry = this.actionButton("Retry failed and canceled jobs", "extend", {});
    this.reasonsButton = el("button", { type: "button", class: "subtle", onclick: () => this.showReasons() }, "Show failure reasons");
    this.problem = el("div");
    this.reasons = el("div");
    this.connection = el("div");
    this.nodes = [
      el("div", { class: "progress" }, this.bar, this.status),
      el("div", { class: "study-actions" }, this.cancel, this.retry, this.reasonsButton),
      this.connection,
      this.problem,
      this.reasons,
    ];
  }

  /** @param {Study} study */
  show(study) {
    this.study = study;
    const { jobs, state } = study;
    this.bar.max = jobs.total;
    this.bar.value = countEnded(jobs);
    this.status.textContent = `${describeJobCounts(jobs)}.`;
    this.setVisible(this.bar, state === "running");
    this.setVisible(this.cancel, state === "running");
    this.setVisible(this.retry, jobs.failed + jobs.canceled > 0);
    this.setVisible(this.reasonsButton, jobs.failed > 0);
    this.connection.replaceChildren();
  }

  /**
   * Show why the study could not be updated; its last known progress stays.
   * @param {unknown} error
   * @param {(() => unknown) | null} retry
   */
  showConnectionError(error, retry) {
    this.connection.replaceChildren(errorNotice(error, retry));
  }

  showReasons() {
    const { study } = this;
    if (study) loadInto(this.reasons, "Loading failure reasons …", () => failures(study));
  }

  /**
   * @param {HTMLElement} node
   * @param {boolean} visible
   */
  setVisible(node, visible) {
    if (!visible && node === document.activeElement) this.status.focus(); // a hidden element loses the focus
    node.hidden = !visible;
  }

  /**
   * A button that posts to a link of the study.
   * @param {string} text
   * @param {string} link
   * @param {unknown} [json]
   */
  actionButton(text, link, json) {
    const button = el("button", { type: "button" }, text);
    button.addEventListener("click", async () => {
      if (!this.study || button.hasAttribute("aria-disabled")) return;
      button.setAttribute("aria-disabled", "true"); // unlike disabled, keeps the focus
      try {
        this.problem.replaceChildren();
        /** @type {Study} */
        const study = await post(this.study.links[link], json);
        announce(text);
        this.onChange(study);
      } catch (error) {
        this.problem.replaceChildren(errorNotice(error));
      } finally {
        button.removeAttribute("aria-disabled");
      }
    });
    return button;
  }
}

/** @param {Study} study */
async function failures(study) {
  /** @type {StudyCell[]} */
  const cells = await getAll(`${study.links.cells}?limit=100`, MAX_CELLS);
  const failed = cells.filter((cell) => cell.state === "failed");
  if (!failed.length) return el("p", { class: "help" }, `None of the first ${formatInteger(MAX_CELLS)} cells failed; read the others with the API.`);
  const items = failed.slice(0, MAX_FAILURES).map((cell) => {
    const link = el("a", { href: `/jobs/${cell.job}` }, `${cell.label}, ${cell.dataset_name}, ${cell.library}`);
    return el("li", {}, link, `: ${cell.error?.message ?? "no reason was recorded."}`);
  });
  return el("ul", { class: "plain-list notice error" }, items);
}
