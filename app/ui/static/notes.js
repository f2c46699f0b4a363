// Notes on a job's model and data set: what was assumed, chosen, converted or left out while they were read.

import { get } from "./api.js";
import { el } from "./dom.js";

/** @import { Dataset, Model, ScoreJob } from "../types.d.ts" */

/**
 * The notice is filled as soon as the answers arrive; without notes it stays empty.
 * @param {ScoreJob} job
 */
export function notesNotice(job) {
  const region = el("div");
  queueMicrotask(async () => {
    const inputs = [
      notesOf("Model", "models", job.model),
      notesOf("Vision-language model", "models", job.vlm),
      notesOf("Data set", "datasets", job.dataset),
    ];
    const notes = (await Promise.all(inputs)).flat();
    if (!notes.length) return;
    const heading = el("h2", { id: "notes" }, notes.length === 1 ? "Note" : "Notes");
    const list = el("ul", {}, notes.map((text) => el("li", {}, text)));
    region.replaceChildren(el("section", { class: "notice", "aria-labelledby": "notes" }, heading, list));
  });
  return region;
}

/**
 * @param {string} noun
 * @param {"models" | "datasets"} kind
 * @param {string | null | undefined} id
 * @returns {Promise<string[]>} empty for a deleted model or data set
 */
async function notesOf(noun, kind, id) {
  if (!id) return [];
  try {
    /** @type {Model | Dataset} */
    const resource = await get(`/v1/${kind}/${id}`);
    return (resource.info?.notes ?? []).map((note) => `${noun}: ${note}`);
  } catch {
    return [];
  }
}
