// How a study is said: its grid, its jobs, the settings that its models are compared in.

import { el } from "./dom.js";
import { counted, interval, missing, number } from "./words.js";

export function gridWords(grid) {
  const models = grid.models.length ? counted(grid.models.length, grid.evolution ? "checkpoint" : "model") : counted(grid.datasets.length, "representation");
  const parts = [models, grid.models.length ? counted(grid.datasets.length, "data set") : null, counted(grid.libraries.length, "library", "libraries")];
  if (grid.concept_counts?.length > 1) parts.push(counted(grid.concept_counts.length, "number of concepts", "numbers of concepts"));
  if (grid.seeds.length > 1) parts.push(counted(grid.seeds.length, "seed"));
  return parts.filter(Boolean).join(" × ");
}

export function jobsWords(jobs) {
  const said = [`${counted(jobs.succeeded, "job")} of ${jobs.total.toLocaleString("en")} finished`];
  const others = [
    [jobs.running + jobs.canceling, "running"],
    [jobs.queued, "waiting"],
    [jobs.failed, "failed"],
    [jobs.canceled, "canceled"],
  ];
  for (const [count, word] of others) if (count) said.push(`${count.toLocaleString("en")} ${word}`);
  return said.join(", ");
}

export function studyMark(study) {
  const running = study.state === "running";
  const state = running ? "running" : study.jobs.failed || study.jobs.canceled ? "partial" : "succeeded";
  return el("p", { class: `job-state ${state}` }, el("span", { "aria-hidden": "true", class: "state-mark" }, running ? "◐" : "●"), " ", running ? "running" : "finished");
}

// What models are compared in: data set, library, M, and where the library was cut.
export function settingWords(setting) {
  const count = missing(setting.concept_count) ? "" : `, ${setting.concept_count} concepts`;
  const library = setting.library ? `, ${setting.library}` : "";
  return `${setting.dataset_name}${library}${count}${setting.library_dataset ? `, cut from ${setting.library_dataset_name}` : ""}`;
}

// A number with its interval in brackets, or why there is none.
export function estimate(one) {
  if (!one || missing(one.value)) return "–";
  return `${number(one.value, 2)}${missing(one.low) ? "" : ` (${number(one.low, 2)} to ${number(one.high, 2)})`}`;
}

export const measured = (one) => (one ? `${number(one.value)} (${interval(one.low, one.high)})` : "–");
