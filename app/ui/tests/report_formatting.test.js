// Sentences about a score report.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeReport } from "../static/report_formatting.js";

const REPORT = { iis: 0.92, accuracy_representation: 0.5, iis_random_mean: 0.84, concept_gain: 0.08 };
const gainSentence = (fields) => describeReport({ ...REPORT, ...fields })[2];

test("a report without a score says why", () => {
  const sentences = describeReport({ iis: null, accuracy_representation: 0.1 });
  assert.equal(sentences.length, 1);
  assert.match(sentences[0], /no better than chance/);
});

test("score, accuracy and control are stated with their values", () => {
  const [score, control] = describeReport(REPORT);
  assert.match(score, /92\.0\u202f% of the accuracy .* \(50\.0\u202f%\)\.$/);
  assert.match(control, /random directions retains 84\.0\u202f%\.$/);
});

test("an interval above zero means better than random directions", () => {
  const sentence = gainSentence({ concept_gain_low: 0.06, concept_gain_high: 0.1 });
  assert.equal(sentence, "The concepts retain 0.080 more; the 95 % interval excludes 0: better than random directions.");
});

test("an interval below zero means worse than random directions", () => {
  const sentence = gainSentence({ concept_gain: -0.08, concept_gain_low: -0.1, concept_gain_high: -0.06 });
  assert.equal(sentence, "The concepts retain 0.080 less; the 95 % interval excludes 0: worse than random directions.");
});

test("an interval that includes zero means no distinguishable difference", () => {
  const sentence = gainSentence({ concept_gain: 0.01, concept_gain_low: -0.01, concept_gain_high: 0.03 });
  assert.equal(sentence, "The difference is +0.010; the 95 % interval includes 0: not distinguishable from random directions.");
});

test("a gain without an interval is only stated", () => {
  assert.equal(gainSentence({}), "The concepts retain 0.080 more than random directions.");
});
