// Archive of chosen explanations: the figure and the numbers of each image.

import { request } from "./api.js";
import { getFromWorker } from "./explanation_requests.js";
import { zipOf } from "./zip_writer.js";

/** @import { Explanation } from "../types.d.ts" */

/**
 * Load the explanations of test images one after another, and save them as one zip file.
 * @param {string} job
 * @param {number[]} images indices
 * @param {(done: number) => void} onProgress
 */
export async function saveExplanations(job, images, onProgress) {
  const files = [];
  for (const [done, image] of images.entries()) {
    onProgress(done);
    /** @type {Explanation} */
    const explanation = await getFromWorker(`/v1/jobs/${job}/explanations/${image}`);
    files.push({ name: `image-${image}.json`, content: new TextEncoder().encode(JSON.stringify(explanation, null, 1)) });
    if (!explanation.links.sheet_png) continue;
    const figure = await request("GET", explanation.links.sheet_png);
    files.push({ name: `image-${image}.png`, content: new Uint8Array(await figure.arrayBuffer()) });
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(zipOf(files));
  link.download = `${job}-explanations.zip`;
  link.click();
  URL.revokeObjectURL(link.href);
}
