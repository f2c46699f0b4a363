// Card of one concept: name, crops, importance, firing rate, class, MonoScore, phrases, and the near-duplicates folded into it.

import { bar } from "./bars.js";
import { conceptLabel, conceptName } from "./concept_names.js";
import { formatStatistic, statisticName } from "./concept_statistics.js";
import { crops } from "./crops.js";
import { el } from "./dom.js";
import { formatCount, formatNumber, formatPercent, isMissing } from "./formatting.js";

/** @import { Child, ConceptNames, Job, LibraryConcept, ListedConcept } from "../types.d.ts" */

const CROPS = 3;

/**
 * @param {ListedConcept} concept
 * @param {ListedConcept[]} folded
 * @param {string | null} library
 * @param {Job} job
 * @param {number} mostImportant largest importance in the list
 */
export function conceptCard(concept, folded, library, job, mostImportant) {
  const link = (/** @type {ListedConcept} */ one, /** @type {string} */ name) => el("a", { href: `/jobs/${job.id}/concepts/${one.index}` }, name);
  const combined = job.kind !== "explain" && job.library.parts?.length;
  const about = [concept.label ? `No. ${concept.index}` : "", combined ? concept.origin : ""].filter(Boolean).join(", ");
  const duplicates = folded.map((one) => el("li", {}, link(one, conceptLabel(one))));
  return el(
    "li",
    { class: "card" },
    el("h3", { class: concept.label ? "" : "unnamed" }, link(concept, conceptName(concept))),
    about ? el("p", { class: "help" }, about) : null,
    crops(concept.exemplars, library, CROPS),
    el("dl", { class: "statistics" }, usage(concept, mostImportant)),
    details(concept),
    folded.length
      ? el("details", {}, el("summary", {}, formatCount(folded.length, "near-duplicate")), el("ul", { class: "plain-list" }, duplicates))
      : null,
  );
}

/**
 * @param {ListedConcept} concept
 * @param {number} mostImportant
 */
function usage(concept, mostImportant) {
  /**
   * @param {string} name
   * @param {Child} value
   */
  const row = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const topClass = concept.top_class === null ? "" : `${concept.top_class} (${formatPercent(concept.class_purity)} of its top images)`;
  return [
    isMissing(concept.importance)
      ? null
      : row("Importance", [el("span", { class: "statistic-bar" }, bar(concept.importance, mostImportant, "neutral")), formatNumber(concept.importance, 2)]),
    topClass ? row("Class", topClass) : null,
    isMissing(concept.firing_rate) ? null : row("Kept in", concept.never_fires ? "no test image" : `${formatPercent(concept.firing_rate)} of images`),
    isMissing(concept.mono_score) ? null : row("MonoScore", formatNumber(concept.mono_score)),
  ];
}

/** @param {ListedConcept} concept */
function details({ details: values }) {
  if (!values) return null;
  if (hasNames(values)) return nearestPhrases(values);
  const entries = Object.entries(values).filter(([, value]) => !isMissing(value));
  const items = entries.map(([name, value]) => el("div", {}, el("dt", {}, statisticName(name)), el("dd", {}, formatStatistic(value))));
  return el("dl", { class: "statistics" }, items);
}

/**
 * @param {NonNullable<LibraryConcept["details"]>} values
 * @returns {values is ConceptNames}
 */
export function hasNames(values) {
  return Array.isArray(values.names);
}

/** @param {ConceptNames} details */
function nearestPhrases({ names, margin, named }) {
  const heading = named ? `Nearest phrases (margin ${formatNumber(margin, 2)})` : "Unnamed; nearest phrases";
  const items = names.map(({ phrase, score, cosine }) => {
    const values = el("span", { class: "help" }, `score ${formatNumber(score, 2)}, cosine ${formatNumber(cosine, 2)}`);
    return el("li", {}, phrase, " ", values);
  });
  return el("details", {}, el("summary", {}, heading), el("ol", { class: "phrases" }, items));
}
