// Rows of the panel beside a score: each metric of the library beside that of matched directions.

import { formatNumber, formatSigned, isMissing } from "./formatting.js";

/** @import { Panel } from "../types.d.ts" */

/**
 * @param {Panel} panel
 * @returns {[name: string, library: string, matched: string][]}
 */
export function panelRows(panel) {
  const { library: own, matched } = panel;
  /** @type {[string, string, string][]} */
  const rows = [
    [`Concepts in effect used, of ${panel.concept_count}`, formatNumber(own.code.concepts_used, 0), formatNumber(matched.code.concepts_used, 0)],
    ["Overlap of the kept sets of two images", formatNumber(own.code.overlap), formatNumber(matched.code.overlap)],
    ["Share of kept activations above zero", formatNumber(own.code.positive_share), formatNumber(matched.code.positive_share)],
    ["Effective rank of the directions", formatNumber(own.effective_rank, 1), formatNumber(matched.effective_rank, 1)],
    ["MonoScore, median", formatNumber(own.mono_score), formatNumber(matched.mono_score)],
    ["Class purity, median", formatNumber(own.class_purity), formatNumber(matched.class_purity)],
    ["Firing rate, median", formatNumber(own.firing_rate), formatNumber(matched.firing_rate)],
    ["Share of concepts with a near-duplicate", formatNumber(own.duplicated_share), formatNumber(matched.duplicated_share)],
  ];
  if (panel.stability) {
    rows.push(["Stability between library seeds (cosine)", formatNumber(panel.stability.cosine), formatNumber(panel.stability.matched_cosine)]);
  }
  rows.push(["ANEC: accuracy at 5 to 30 non-zero weights per class", formatNumber(panel.effective_concepts.anec), formatNumber(panel.effective_concepts.matched_anec)]);
  if (!isMissing(panel.contributing_concepts)) {
    rows.push([`NCC: contributions for 95 % of a class score, of ${panel.contributing_concepts.kept}`, formatNumber(panel.contributing_concepts.ncc, 1), ""]);
  }
  rows.push(["Selectivity: ARR minus ARR of random labels by cluster", formatSigned(panel.selectivity.difference), ""]);
  return rows;
}
