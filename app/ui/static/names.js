// What models and data sets are called, each asked for once a page.

import { get } from "./api.js";
import { legible } from "./dom.js";

const known = new Map();

function named(path) {
  if (!known.has(path)) known.set(path, get(path).then((found) => legible(found.name), () => null));
  return known.get(path);
}

export async function modelName(job) {
  if (!job.model) return "Ready features";
  return (await named(`/v1/models/${job.model}`)) ?? job.model;
}

export async function datasetName(job) {
  return (await named(`/v1/datasets/${job.dataset}`)) ?? job.dataset;
}
