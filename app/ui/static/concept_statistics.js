// Statistics that a library keeps of a concept: names and formats.

import { formatNumber, isMissing } from "./formatting.js";

/** @import { Statistic } from "../types.d.ts" */

/** @type {Record<string, string>} */
const STATISTICS = {
  similarity: "held-out similarity",
  chosen_similarity: "similarity when chosen",
  clip_top5: "mean of top 5 cosines",
  cosine: "cosine",
  group: "group",
  other: "similar to",
};

/** @param {string} name */
export function statisticName(name) {
  return STATISTICS[name] ?? name.replaceAll("_", " ");
}

/** @param {Statistic | undefined} value */
export function formatStatistic(value) {
  if (isMissing(value)) return "";
  return typeof value === "number" ? formatNumber(value) : value;
}
