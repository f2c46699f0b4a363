// Names of the models and data sets of jobs, as the jobs have them; titles of several jobs.

import { escapeInvisible } from "./escaping.js";

/** @import { Job } from "../types.d.ts" */

/** @param {Job} job */
export function modelName({ model, model_name: name }) {
  return model ? escapeInvisible(name ?? model) : "Precomputed features";
}

/** @param {Job} job */
export const datasetName = ({ dataset, dataset_name: name }) => escapeInvisible(name ?? dataset);

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
