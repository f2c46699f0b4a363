// Results for one setting of a study: its description, excluded models, reasons for undefined values.

import { el } from "./dom.js";
import { isMissing } from "./formatting.js";
import { describeSetting } from "./study_formatting.js";

/** @import { Child, Estimate, ExcludedModels, Setting } from "../types.d.ts" */

/**
 * The results for one setting, below its description.
 * @param {Setting} setting
 * @param {...Child} children
 */
export function settingView(setting, ...children) {
  return el("div", { class: "setting" }, el("h3", {}, describeSetting(setting)), children);
}

/** @param {Partial<ExcludedModels>} setting */
export function excludedModels({ left_out: excluded }) {
  if (!excluded?.length) return null;
  const names = excluded.map(({ label }) => label).join(", ");
  const reasons = [...new Set(excluded.map(({ reason }) => reason))].join(" ");
  return el("p", { class: "help" }, `Excluded: ${names}. ${reasons}`);
}

/**
 * Why values are undefined, each reason once.
 * @param {(Estimate | null | undefined)[]} estimates
 */
export function undefinedReasons(estimates) {
  const reasons = new Set(estimates.flatMap((estimate) => (estimate && isMissing(estimate.value) && estimate.reason ? [estimate.reason] : [])));
  return [...reasons].map((reason) => el("p", { class: "help" }, `–: ${reason}`));
}
