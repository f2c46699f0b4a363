// Tables of a score's result: all values of the report, and the panel of measures beside the score.

import { el, table } from "./dom.js";
import { formatInterval, formatNumber, formatPercent, formatPercentInterval, formatSigned } from "./formatting.js";
import { CONTROLS } from "./headline.js";
import { panelRows } from "./panel_rows.js";
import { quantityTitle } from "./report_formatting.js";

/** @import { Column, Report, ScoreJob } from "../types.d.ts" */

/** @param {Report} report */
export function valuesTable(report) {
  const quantity = quantityTitle(report);
  const few = Object.entries(report.few_concepts ?? {}).map(([count, accuracy]) => [`${quantity} with ${count} concepts`, formatPercent(accuracy), ""]);
  const accuracyInterval = formatPercentInterval(report.accuracy_representation_low, report.accuracy_representation_high);
  const ofControls = CONTROLS.flatMap(([name, title]) => {
    const control = report.controls?.[name];
    if (!control) return [];
    return [
      [`IIS of ${title}`, formatNumber(control.iis), formatInterval(control.iis_low, control.iis_high)],
      [`Gain in IIS over ${title}`, formatSigned(control.gain), formatInterval(control.gain_low, control.gain_high)],
      [`Gain over ${title}, of the headroom`, formatSigned(control.headroom_gain), formatInterval(control.headroom_gain_low, control.headroom_gain_high)],
      [`${quantity} with 5 to 30 of ${title}`, formatPercent(control.few_mean), formatPercentInterval(control.few_mean_low, control.few_mean_high)],
      [`Gain in that over ${title}`, formatSigned(control.few_gain), formatInterval(control.few_gain_low, control.few_gain_high)],
      [`IIS over log k of ${title}`, formatNumber(control.iis_log), formatInterval(control.iis_log_low, control.iis_log_high)],
    ];
  });
  const fewInterval = formatPercentInterval(report.few_concepts_mean_low, report.few_concepts_mean_high);
  const rows = [
    [`${quantity} with 5 to 30 concepts, mean`, formatPercent(report.few_concepts_mean), fewInterval],
    ["IIS", formatNumber(report.iis), formatInterval(report.iis_low, report.iis_high)],
    ...ofControls,
    ["IIS, chance-corrected", formatNumber(report.iis_chance_corrected), formatInterval(report.iis_chance_corrected_low, report.iis_chance_corrected_high)],
    ["IIS over log k", formatNumber(report.iis_log), formatInterval(report.iis_log_low, report.iis_log_high)],
    ["IIS by the authors' trapezoid rule", formatNumber(report.iis_authors), ""],
    [`${quantity} of the representation`, formatPercent(report.accuracy_representation), accuracyInterval],
    ["Balanced accuracy of the representation", formatPercent(report.balanced?.accuracy), ""],
    ["IIS from balanced accuracy", formatNumber(report.balanced?.iis), ""],
    ...few,
  ].filter(([, value]) => value !== "–");
  /** @type {Column<string[]>[]} */
  const columns = [["", ([name]) => name], ["Value", ([, value]) => value, "number"], ["95 % interval", ([, , interval]) => interval, "number"]];
  return el("details", {}, el("summary", {}, "All values"), table("All values of the report", columns, rows));
}

/**
 * @param {ScoreJob} job
 * @param {Report} report
 */
export function panelTable(job, { panel }) {
  if (!panel) return null;
  /** @type {Column<[string, string, string]>[]} */
  const columns = [
    ["", ([name]) => name],
    ["Concepts", ([, own]) => own, "number"],
    ["Matched directions", ([, , matched]) => matched, "number"],
  ];
  const file = el("a", { href: `${job.links.self}/concept-metrics?format=csv`, download: `${job.id}-concept-metrics.csv` }, "Metrics of each concept, CSV");
  return el("details", {}, el("summary", {}, "Code, concepts and library"), table("Measures beside the score", columns, panelRows(panel)), el("p", {}, file));
}
