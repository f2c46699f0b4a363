// Rows of the panel beside a score.

import assert from "node:assert/strict";
import { test } from "node:test";

import { panelRows } from "../static/panel_rows.js";

const METRICS = {
  code: { kept: 10, concepts_used: 190.2, overlap: 0.03, positive_share: 0.69 },
  effective_rank: 35.04,
  mono_score: 0.31,
  class_purity: 0.7,
  firing_rate: 0.05,
  duplicated_share: 0.1,
};
const PANEL = {
  concept_count: 200,
  library: METRICS,
  matched: { ...METRICS, mono_score: null },
  stability: { cosine: 0.9, matched_cosine: 0.8, difference: 0.1 },
  effective_concepts: { anec: 0.96, matched_anec: 0.97 },
  contributing_concepts: { kept: 20, ncc: 15.04 },
  selectivity: { arr: 0.97, control_arr: 1.04, difference: -0.07 },
};

test("each metric stands beside that of matched directions, and an undefined one is a dash", () => {
  const rows = new Map(panelRows(PANEL).map(([name, ...values]) => [name, values]));
  assert.deepEqual(rows.get("Concepts in effect used, of 200"), ["190", "190"]);
  assert.deepEqual(rows.get("MonoScore, median"), ["0.310", "–"]);
  assert.deepEqual(rows.get("Stability between library seeds (cosine)"), ["0.900", "0.800"]);
  assert.deepEqual(rows.get("NCC: contributions for 95 % of a class score, of 20"), ["15.0", ""]);
});

test("what was not measured has no row", () => {
  const names = panelRows({ ...PANEL, stability: null, contributing_concepts: null }).map(([name]) => name);
  assert.equal(names.some((name) => name.startsWith("Stability") || name.startsWith("NCC")), false);
});
