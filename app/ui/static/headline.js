// Head of a score's result: the verdict with its reasons and what can be tried, and the two headline numbers beside both controls.

import { el } from "./dom.js";
import { formatHalfWidth, formatInterval, formatNumber, formatPercent, formatSigned } from "./formatting.js";
import { withInfo } from "./glossary.js";
import { numberScale } from "./number_scale.js";
import { describeEdition, describeReasons, describeReport, describeVerdict, quantityTitle } from "./report_formatting.js";

/** @import { Control, Report } from "../types.d.ts" */
/** @import { Term } from "./glossary.js" */
/** @import { ScaleRow } from "./number_scale.js" */

/** @type {["matched" | "isotropic", string][]} */
export const CONTROLS = [
  ["matched", "matched directions"],
  ["isotropic", "any directions"],
];

/** @param {Report} report */
export function verdictBanner(report) {
  const { verdict } = report;
  const compared = describeReasons(report);
  const reasons = compared.length ? [...compared, ...describeEdition(report)] : describeReport(report);
  const why = el("details", {}, el("summary", {}, "Why"), el("ul", {}, reasons.map((text) => el("li", {}, text))));
  if (!verdict) return el("section", { class: "verdict neutral", "aria-label": "Verdict" }, why);
  const { symbol, tone, title, answer } = describeVerdict(verdict);
  const next = verdict.next?.length
    ? el("details", { open: true }, el("summary", {}, "What you can try"), el("ul", {}, verdict.next.map((text) => el("li", {}, text))))
    : null;
  why.open = true;
  return el(
    "section",
    { class: `verdict ${tone}`, "aria-labelledby": "verdict" },
    el("p", { class: "verdict-question" }, "Does the model read through these concepts?"),
    el("h2", { id: "verdict" }, el("span", { class: "verdict-symbol", "aria-hidden": "true" }, symbol), " ", `${answer}: ${title}`),
    el("p", {}, verdict.sentence),
    el("div", { class: "verdict-details" }, why, next),
  );
}

/** @param {Report} report */
export function headline(report) {
  const { few_concepts_mean: mean, few_concepts_mean_low: meanLow, few_concepts_mean_high: meanHigh } = report;
  /**
   * @param {string} name
   * @param {Term} term
   * @param {Omit<ScaleRow, "name" | "kind">} own
   * @param {(control: Control) => Omit<ScaleRow, "name" | "kind">} ofControl
   * @param {(control: Control) => [gain: string, interval: string]} gainOf
   */
  const score = (name, term, own, ofControl, gainOf) => {
    const controls = CONTROLS.flatMap(([kind, title]) => {
      const control = report.controls?.[kind];
      return control ? [{ kind, title, control }] : [];
    });
    const rows = [
      { name: "These concepts", kind: "library", ...own },
      ...controls.map(({ kind, title, control }) => ({ name: title[0].toUpperCase() + title.slice(1), kind, ...ofControl(control) })),
    ];
    const gains = controls.map(({ title, control }) => {
      const [gain, interval] = gainOf(control);
      return el("div", {}, el("dt", {}, `Gain over ${title}`), el("dd", {}, el("strong", {}, gain), " ", el("span", { class: "help" }, interval)));
    });
    return el(
      "div",
      { class: "score" },
      el(
        "div",
        {},
        el("p", { class: "score-name" }, withInfo(name, term)),
        el("p", { class: "score-value" }, formatNumber(own.value), " ", el("span", { class: "score-interval" }, formatHalfWidth(own.low, own.high))),
      ),
      numberScale(rows),
      gains.length ? el("dl", { class: "score-details" }, gains) : null,
    );
  };
  return el(
    "section",
    { class: "headline", "aria-label": "Score" },
    score(
      `${quantityTitle(report)} with 5 to 30 concepts`,
      "few concepts",
      { value: mean, low: meanLow, high: meanHigh },
      (control) => ({ value: control.few_mean, low: control.few_mean_low, high: control.few_mean_high }),
      (control) => [formatSigned(control.few_gain), formatInterval(control.few_gain_low, control.few_gain_high)],
    ),
    score(
      "IIS",
      "IIS",
      { value: report.iis, low: report.iis_low, high: report.iis_high },
      (control) => ({ value: control.iis, low: control.iis_low, high: control.iis_high }),
      (control) => [formatSigned(control.gain), formatInterval(control.gain_low, control.gain_high)],
    ),
    el(
      "p",
      { class: "help" },
      "Lines are 95 % intervals. ",
      withInfo("Controls", "control"),
      " and ",
      withInfo("gains", "gain"),
      ` are explained behind their marks. ${quantityTitle(report)} of the whole representation: ${formatPercent(report.accuracy_representation)}; of a constant prediction: ${formatPercent(report.chance)}.`,
    ),
  );
}
