// Rows of a report's configuration: names in words, nested settings with the name of their group before them.

import { isMissing } from "./formatting.js";

/** @import { Report } from "../types.d.ts" */

/** @type {Record<string, string>} */
const NAMES = {
  weights_sha256: "weights, sha256",
  content_sha256: "content, sha256",
  digest: "digest of the registration",
  id: "id",
};

/**
 * @param {Report} report
 * @returns {[name: string, value: string][]}
 */
export function configurationRows({ protocol, edition, train_count, test_count, class_names, dimension, configuration, notes }) {
  const counts = { training_images: train_count, test_images: test_count, classes: class_names?.length, dimensions: dimension };
  return [...rowsOf("", { protocol, edition, ...counts, ...configuration }), ...(notes ?? []).map((note) => /** @type {[string, string]} */ (["note", note]))];
}

/**
 * Names in words and values of nested settings, without missing ones.
 * @param {string} group
 * @param {Record<string, unknown>} values
 * @returns {[string, string][]}
 */
export function rowsOf(group, values) {
  return Object.entries(values).flatMap(([name, value]) => {
    if (isMissing(value)) return [];
    const title = [group, NAMES[name] ?? name.replaceAll("_", " ")].filter(Boolean).join(": ");
    if (typeof value === "object" && !Array.isArray(value)) return rowsOf(title, /** @type {Record<string, unknown>} */ (value));
    return [[title, Array.isArray(value) ? value.map(String).join(", ") : String(value)]];
  });
}
