// Order, search and folding of a list of concepts.

import { conceptLabel } from "./concept_names.js";

/** @import { ListedConcept } from "../types.d.ts" */

/** @typedef {"index" | "importance" | "firing_rate" | "class_purity" | "mono_score" | "top_class"} SortKey */

/** @type {Record<SortKey, string>} */
export const SORTS = {
  importance: "importance",
  firing_rate: "firing rate",
  class_purity: "class purity",
  mono_score: "MonoScore",
  top_class: "class",
  index: "number",
};

/**
 * Concepts by a key, largest first; classes and numbers rise. Concepts without the value come last.
 * @param {ListedConcept[]} concepts
 * @param {SortKey} key
 * @returns {ListedConcept[]}
 */
export function sortConcepts(concepts, key) {
  return concepts.toSorted((first, second) => {
    const [one, other] = [first[key], second[key]];
    if (one === other) return key === "top_class" ? (second.class_purity ?? 0) - (first.class_purity ?? 0) : first.index - second.index;
    if (one === null || other === null) return one === null ? 1 : -1;
    if (typeof one === "string") return one.localeCompare(String(other), undefined, { numeric: true });
    return key === "index" ? one - Number(other) : Number(other) - one;
  });
}

/**
 * Concepts whose name, number, class or phrases contain all words of a text.
 * @param {ListedConcept[]} concepts
 * @param {string} text
 * @returns {ListedConcept[]}
 */
export function searchConcepts(concepts, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return concepts.filter((concept) => {
    const content = [conceptLabel(concept), concept.index, concept.top_class ?? "", ...concept.phrases].join("\n").toLowerCase();
    return words.every((word) => content.includes(word));
  });
}

/**
 * Each concept with the near-duplicates that come after it and are folded into it.
 * @param {ListedConcept[]} concepts in the order in which they are shown
 * @returns {{concept: ListedConcept, folded: ListedConcept[]}[]}
 */
export function foldDuplicates(concepts) {
  /** @type {{concept: ListedConcept, folded: ListedConcept[]}[]} */
  const groups = [];
  for (const concept of concepts) {
    const group = groups.find((one) => one.concept.duplicates.includes(concept.index));
    if (group) group.folded.push(concept);
    else groups.push({ concept, folded: [] });
  }
  return groups;
}

/**
 * Concepts that match a search, sorted, in groups of one card each: near-duplicates are folded into one group where `fold` is true.
 * @param {ListedConcept[]} concepts
 * @param {SortKey} sort
 * @param {string} search
 * @param {boolean} fold
 */
export function groupConcepts(concepts, sort, search, fold) {
  const found = searchConcepts(sortConcepts(concepts, sort), search);
  return { found, groups: fold ? foldDuplicates(found) : found.map((concept) => ({ concept, folded: [] })) };
}
