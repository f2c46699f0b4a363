// Register the files of a form: uploads, models and data sets, with errors at the fields that they concern.

import { post, waitUntilValidated } from "./api.js";
import { asPageError } from "./errors.js";
import { FormProblem, toFormProblem } from "./field_problems.js";

/** @import { Dataset, Model } from "../types.d.ts" */
/** @import { FileField } from "./file_field.js" */

/** @typedef {"dataset" | "model"} ResourceName */

/** @type {Map<string, Dataset | Model>} */
const registered = new Map(); // by request; a corrected form registers nothing twice

/**
 * The upload of a file field once it is complete; undefined without a file.
 * @param {FileField} field
 * @param {string} param
 * @returns {Promise<string | undefined>}
 */
export async function uploadOf(field, param) {
  if (!field.upload) return undefined;
  const upload = await field.upload.catch((error) => {
    const { message } = asPageError(error);
    throw new FormProblem(message, [{ param, message }]);
  });
  return upload.id;
}

/**
 * Create a model or data set and wait until it is validated.
 * @param {ResourceName} name
 * @param {Record<string, unknown>} request
 * @returns {Promise<string>}
 */
export async function register(name, request) {
  const key = JSON.stringify([name, request]);
  try {
    /** @type {Dataset | Model} */
    const created = registered.get(key) ?? (await post(`/v1/${name}s`, request));
    registered.set(key, created);
    /** @type {Dataset | Model} */
    const resource = await waitUntilValidated(created.links.self);
    if (resource.state === "ready") return resource.id;
    registered.delete(key);
    const { message, param } = resource.error ?? { message: "The file was refused." };
    throw toFormProblem(name, { message, errors: [{ param: param ?? "upload", message }] });
  } catch (error) {
    throw error instanceof FormProblem ? error : toFormProblem(name, asPageError(error));
  }
}

/**
 * Await both; if both fail, throw the errors of both.
 * @template First, Second
 * @param {Promise<First>} first
 * @param {Promise<Second>} second
 * @returns {Promise<[First, Second]>}
 */
export async function allOrProblems(first, second) {
  const settled = await Promise.allSettled([first, second]);
  const failures = settled.flatMap((result) => (result.status === "rejected" ? [asPageError(result.reason)] : []));
  if (failures.length < 2) return Promise.all([first, second]);
  const fields = failures.flatMap((error) => (error instanceof FormProblem ? error.errors : [{ param: "", message: error.message }]));
  const combined = new FormProblem("", fields);
  combined.requestId = failures[0].requestId;
  throw combined;
}
