// What if a concept were weaker, stronger or gone: a slider at each concept, and what the classes' probabilities become.

import { bar } from "./bars.js";
import { conceptName } from "./crops.js";
import { el, problemView, say, table } from "./dom.js";
import { interventionBody, isChange, send } from "./explanations.js";
import { number, share, signed } from "./words.js";

const PAUSE_MILLISECONDS = 250;
const MOST_SHOWN = 6;
const STRONGEST = 3;

export class Interventions {
  constructor(explanation) {
    this.explanation = explanation;
    this.changes = new Map();
    this.resets = [];
    this.asked = 0;
    this.outcome = el("div", { role: "status" }, el("p", { class: "help" }, "Move a slider under a concept: to the left it is suppressed, to the right boosted. Or set its activation."));
    const reset = el("button", { type: "button", onclick: () => this.reset() }, "As it was");
    this.node = el("section", { "aria-labelledby": "interventions", class: "interventions" }, el("h2", { id: "interventions" }, "What if"), this.outcome, reset);
  }

  control(contribution) {
    const { concept } = contribution;
    const name = conceptName(contribution);
    const slider = el("input", { type: "range", min: 0, max: STRONGEST, step: 0.1, value: 1, "aria-label": `Strength of ${name}` });
    const set = el("input", { inputmode: "decimal", size: 6, "aria-label": `Activation of ${name}`, placeholder: number(contribution.activation, 2) });
    const words = el("output", {}, "as it is");
    const tell = () => {
      const factor = Number(slider.value);
      words.textContent = set.value ? "set" : factor === 1 ? "as it is" : factor === 0 ? "suppressed" : `× ${number(factor, 1)}`;
      slider.setAttribute("aria-valuetext", words.textContent);
    };
    slider.addEventListener("input", () => {
      set.value = "";
      this.changes.set(concept, { factor: Number(slider.value) });
      tell();
      this.soon();
    });
    set.addEventListener("change", () => {
      const activation = Number(set.value.replace(",", ".").replace("−", "-"));
      const valid = set.value !== "" && Number.isFinite(activation);
      set.toggleAttribute("aria-invalid", set.value !== "" && !valid);
      this.changes.set(concept, valid ? { activation } : { factor: Number(slider.value) });
      tell();
      this.soon();
    });
    this.resets.push(() => {
      slider.value = 1;
      set.value = "";
      tell();
    });
    tell();
    return el("div", { class: "what-if" }, slider, words, set);
  }

  reset() {
    this.asked += 1; // an answer that is still on its way is to what no longer is
    this.node.classList.remove("in-view");
    this.changes.clear();
    for (const one of this.resets) one();
    this.outcome.replaceChildren(el("p", { class: "help" }, "Everything is as it was."));
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), PAUSE_MILLISECONDS);
  }

  async ask() {
    const body = interventionBody(this.changes, this.explanation.kept);
    if (!isChange(body)) return this.reset();
    const asked = ++this.asked;
    try {
      const answer = await send(this.explanation.links.interventions, { json: body });
      if (asked === this.asked) this.show(answer);
    } catch (error) {
      this.outcome.replaceChildren(problemView(error));
    }
  }

  show({ before, after, changed, probabilities }) {
    const sentence = changed ? `It would be ${after.class} (${share(after.probability)}) instead of ${before.class}.` : `It would still be ${after.class}, at ${share(after.probability)} instead of ${share(before.probability)}.`;
    const rows = probabilities.toSorted((one, other) => Math.max(other.before, other.after) - Math.max(one.before, one.after)).slice(0, MOST_SHOWN);
    const columns = [
      ["Class", (row) => row.class],
      ["Before", (row) => share(row.before), "number"],
      ["After", (row) => share(row.after), "number"],
      ["", (row) => bar(row.after, 1, "plain")],
      ["Change", (row) => signed(100 * (row.after - row.before), 1), "number"],
    ];
    this.node.classList.add("in-view"); // beside the sliders, wherever they are
    this.outcome.replaceChildren(el("p", { class: changed ? "verdict disagree" : "verdict" }, sentence), table("Probabilities before and after", columns, rows));
    say(sentence);
  }
}
