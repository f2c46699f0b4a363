// How far a study has come, and what can be done about it. Built once: later looks change words and numbers, and leave alone what the reader opened.

import { all, post } from "./api.js";
import { el, fill, problemView, say } from "./dom.js";
import { jobsWords } from "./study_words.js";

const CELLS_READ = 1000;
const FAILURES_SHOWN = 20;

export class StudyProgress {
  // changed(study): whatever else follows when an action has changed the study.
  constructor(changed) {
    this.changed = changed;
    this.study = null;
    this.bar = el("progress", { "aria-label": "Jobs that have ended" });
    this.words = el("p", { class: "progress-words", tabindex: "-1" });
    this.cancel = this.action("Cancel", "cancel");
    this.again = this.action("Try again what has no result", "extend", {});
    this.why = el("button", { type: "button", class: "quiet", onclick: () => fill(this.reasons, "Reading why …", () => failures(this.study)) }, "Why did some fail?");
    this.problem = el("div");
    this.reasons = el("div");
    this.lost = el("div");
    this.nodes = [el("div", { class: "progress" }, this.bar, this.words), el("div", { class: "study-actions" }, this.cancel, this.again, this.why), this.lost, this.problem, this.reasons];
  }

  show(study) {
    this.study = study;
    const { jobs, state } = study;
    this.bar.max = jobs.total;
    this.bar.value = jobs.succeeded + jobs.failed + jobs.canceled;
    this.words.textContent = `${jobsWords(jobs)}.`;
    this.offer(this.bar, state === "running");
    this.offer(this.cancel, state === "running");
    this.offer(this.again, jobs.failed || jobs.canceled);
    this.offer(this.why, jobs.failed);
    this.lost.replaceChildren();
  }

  // The connection is lost, or the study: said beside what was known of it.
  showLost(error, again) {
    this.lost.replaceChildren(problemView(error, again));
  }

  offer(node, wanted) {
    if (!wanted && node === document.activeElement) this.words.focus(); // what is hidden would take the focus with it
    node.hidden = !wanted;
  }

  action(words, link, json) {
    const button = el("button", { type: "button", onclick: async () => {
      if (button.hasAttribute("aria-disabled")) return;
      button.setAttribute("aria-disabled", "true"); // not disabled, which would take the focus away
      try {
        this.problem.replaceChildren();
        const study = await post(this.study.links[link], json);
        say(words);
        this.changed(study);
      } catch (error) {
        this.problem.replaceChildren(problemView(error));
      } finally {
        button.removeAttribute("aria-disabled");
      }
    } }, words);
    return button;
  }
}

async function failures(study) {
  const cells = (await all(`${study.links.cells}?limit=100`, CELLS_READ)).filter((cell) => cell.state === "failed");
  if (!cells.length) return el("p", { class: "help" }, `None of the first ${CELLS_READ.toLocaleString("en")} cells failed; read the others with the API.`);
  return el("ul", { class: "plain-list notice problem" }, cells.slice(0, FAILURES_SHOWN).map((cell) => el("li", {}, el("a", { href: `/jobs/${cell.job}` }, `${cell.label}, ${cell.dataset_name}, ${cell.library}`), `: ${cell.error?.message ?? "no reason was recorded."}`)));
}
