// Estimate of what a form would compute, shown before it is sent: images and crops that the network sees, and the time.

import { request } from "./api.js";
import { el } from "./dom.js";
import { asPageError } from "./errors.js";
import { formatCount, formatDuration, isMissing } from "./formatting.js";

/** @import { CostEstimate } from "../types.d.ts" */

const TYPING_MILLISECONDS = 800;

/**
 * Show the estimate after each change of a form.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} region
 * @param {() => Record<string, unknown> | null} readRequest null where nothing can be estimated yet
 * @returns {() => void} shows it now
 */
export function installEstimate(form, region, readRequest) {
  /** @type {number | undefined} */
  let typing;
  let asked = "";
  async function show() {
    const body = readRequest();
    const content = JSON.stringify(body);
    if (content === asked) return;
    asked = content;
    const shown = body === null ? null : await estimate(body);
    if (asked === content) region.replaceChildren(...(shown === null ? [] : [el("p", { class: "help" }, shown)]));
  }
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(show, TYPING_MILLISECONDS);
  });
  return show;
}

/**
 * @param {Record<string, unknown>} body
 * @returns {Promise<string>}
 */
async function estimate(body) {
  try {
    return describeCost(await (await request("POST", "/v1/studies/estimate", { json: body })).json());
  } catch (error) {
    return `No estimate: ${asPageError(error).message}`;
  }
}

/**
 * @param {CostEstimate} cost
 * @returns {string}
 */
export function describeCost({ jobs, reused, images, seconds, basis }) {
  const missing = jobs - reused;
  if (!missing) return "Cost: none. You have these scores already.";
  const seen = isMissing(images) ? "" : images ? `${formatCount(images, "image or crop", "images and crops")} through the network` : "no image through the network, since its features are stored";
  const time = isMissing(seconds) ? "" : `about ${formatDuration(seconds)}`;
  const parts = [formatCount(missing, "job"), seen, time].filter(Boolean).join(", ");
  return `Cost: ${parts}. ${basis}`;
}
