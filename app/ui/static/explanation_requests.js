// Requests for explanations and interventions.

import { get, request } from "./api.js";
import { asPageError } from "./errors.js";
import { isMissing } from "./formatting.js";

/** @import { ConceptChange, InterventionRequest } from "../types.d.ts" */
/** @import { RequestOptions } from "./api.js" */

const MAX_ATTEMPTS = 4;
const DEFAULT_PAUSE_SECONDS = 2;

/**
 * The address of an explanation; options that are missing or empty are left out of the query.
 * @param {string} job
 * @param {string} image
 * @param {Record<string, string | number | null | undefined>} [options] kept, contrast, top
 */
export function explanationPath(job, image, options = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) if (!isMissing(value) && value !== "") query.set(name, String(value));
  const text = query.toString();
  return `/v1/jobs/${encodeURIComponent(job)}/explanations/${encodeURIComponent(image)}${text ? `?${text}` : ""}`;
}

/**
 * Repeat a request while all workers are busy, after the pause that the service asks for.
 * @template Body
 * @param {() => Promise<Body>} send
 * @returns {Promise<Body>}
 */
export async function retryWhileBusy(send) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await send();
    } catch (error) {
      const { code, retryAfterSeconds } = asPageError(error);
      if (code !== "worker_busy" || attempt === MAX_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (retryAfterSeconds ?? DEFAULT_PAUSE_SECONDS)));
    }
  }
}

/**
 * @template Body
 * @param {string} path
 * @returns {Promise<Body>}
 */
export const getFromWorker = (path) => retryWhileBusy(() => get(path));

/**
 * @template Body
 * @param {string} path
 * @param {RequestOptions} options
 * @returns {Promise<Body>}
 */
export const postToWorker = (path, options) => retryWhileBusy(async () => (await request("POST", path, options)).json());

/**
 * The request for changed concepts; a factor of 1 is not a change.
 * @param {Map<number, ConceptChange>} changes by concept
 * @param {number} kept
 * @returns {InterventionRequest}
 */
export function interventionRequest(changes, kept) {
  /** @type {InterventionRequest} */
  const body = { kept, set: [], scale: [], suppress: [] };
  for (const [concept, { factor, activation }] of changes) {
    if (activation !== undefined) body.set.push({ concept, activation });
    else if (factor === 0) body.suppress.push(concept);
    else if (factor !== 1) body.scale.push({ concept, factor });
  }
  return body;
}

/** @param {InterventionRequest} body */
export const hasChanges = (body) => body.set.length + body.scale.length + body.suppress.length > 0;
