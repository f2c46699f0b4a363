// Sentences on the settings in which compared jobs differ.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeDifferences } from "../static/job_differences.js";

const scored = (edition, changes = {}) => ({
  job: { dataset: "dst_1", library: { kind: "cluster", concept_count: 20 }, protocol: "exact", ...changes },
  report: { edition },
});

test("jobs of two editions do not compare", () => {
  const [sentence, ...others] = describeDifferences([scored(2), scored(1)]);
  assert.match(sentence, /different editions of the activations, whose scores do not compare/);
  assert.deepEqual(others, []);
  assert.equal(describeDifferences([scored(2), scored(undefined)]).length, 1); // reports without an edition are of the first
});

test("accuracy and mean average precision do not compare", () => {
  const labels = scored(2);
  const [sentence] = describeDifferences([scored(2), { ...labels, report: { ...labels.report, quantity: "mean_average_precision" } }]);
  assert.equal(sentence, "These jobs retain different quantities, accuracy and mean average precision; their scores do not compare.");
});

test("settings that differ are named", () => {
  assert.deepEqual(describeDifferences([scored(2), scored(2)]), []);
  const [sentence] = describeDifferences([scored(2), scored(2, { dataset: "dst_2", protocol: "reference" })]);
  assert.equal(sentence, "These jobs differ in data set, protocol. IIS depends on these settings; compare the scores with care.");
});
