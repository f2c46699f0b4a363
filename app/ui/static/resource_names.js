// Names of models and data sets, requested once per page.

import { get } from "./api.js";
import { escapeInvisible } from "./escaping.js";

/** @import { Job } from "../types.d.ts" */

/** @type {Map<string, Promise<string | null>>} */
const names = new Map();

/** @param {string} path */
function requestName(path) {
  const known = names.get(path);
  if (known) return known;
  /** @type {Promise<{name: string}>} */
  const response = get(path);
  const name = response.then((resource) => escapeInvisible(resource.name), () => null);
  names.set(path, name);
  return name;
}

/**
 * @param {Job} job
 * @returns {Promise<string>}
 */
export async function modelName(job) {
  if (!job.model) return "Precomputed features";
  return (await requestName(`/v1/models/${job.model}`)) ?? job.model;
}

/**
 * @param {Job} job
 * @returns {Promise<string>}
 */
export async function datasetName(job) {
  return (await requestName(`/v1/datasets/${job.dataset}`)) ?? job.dataset;
}

/**
 * Distinct titles: with the data set where there are several, with a number where titles are still equal.
 * @param {{title: string, dataset: string}[]} items
 * @returns {string[]}
 */
export function distinctTitles(items) {
  const severalDatasets = new Set(items.map((item) => item.dataset)).size > 1;
  const titles = items.map((item) => (severalDatasets ? `${item.title}, ${item.dataset}` : item.title));
  return titles.map((title, index) => {
    if (titles.indexOf(title) === titles.lastIndexOf(title)) return title;
    return `${title} (${titles.slice(0, index + 1).filter((other) => other === title).length})`;
  });
}
