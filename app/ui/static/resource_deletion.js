// Deletion of a model or data set: says what uses it, and asks.

import { get, request } from "./api.js";
import { PageError } from "./errors.js";
import { escapeInvisible } from "./escaping.js";
import { deletionQuestion, deletionRefusal } from "./uses_formatting.js";

/** @import { Dataset, Model, Uses } from "../types.d.ts" */

/**
 * @param {"model" | "data set"} noun
 * @param {Model | Dataset} resource
 * @returns {Promise<boolean>} whether it was deleted
 */
export async function deleteResource(noun, { name, links }) {
  /** @type {Uses} */
  const uses = await get(`${links.self}/uses`);
  const shown = escapeInvisible(name);
  if (!uses.deletable) throw new PageError(deletionRefusal(noun, shown, uses));
  if (!confirm(deletionQuestion(noun, shown, uses))) return false;
  await request("DELETE", links.self);
  return true;
}
