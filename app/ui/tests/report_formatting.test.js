// Sentences about a score report.

import assert from "node:assert/strict";
import { test } from "node:test";

import { commonQuantityName, describeReasons, describeReport, describeVerdict, quantityTitle } from "../static/report_formatting.js";

const REPORT = { iis: 0.92, accuracy_representation: 0.5, few_concepts_mean: 0.42, edition: 2, protocol: "exact" };

test("a report without a score says why", () => {
  const sentences = describeReport({ iis: null, accuracy_representation: 0.1 });
  assert.equal(sentences.length, 1);
  assert.match(sentences[0], /no better than chance/);
});

test("both headline numbers are stated with the accuracy of the representation", () => {
  const [few, score, ...others] = describeReport(REPORT);
  assert.match(few, /reaches 42\.0\u202f% on average; on the whole representation it reaches 50\.0\u202f%\.$/);
  assert.match(score, /retain 92\.0\u202f% of that accuracy\.$/);
  assert.deepEqual(others, []);
});

test("a report of the first edition says so, one of the reference protocol does not", () => {
  assert.match(describeReport({ ...REPORT, edition: 1 })[2], /^First edition/);
  assert.equal(describeReport({ ...REPORT, edition: 1, protocol: "reference" }).length, 2);
});

test("each verdict has a symbol of its own tone beside its title", () => {
  assert.deepEqual(describeVerdict({ code: "reads_through_concepts", sentence: "" }), { symbol: "✓", tone: "good", title: "Reads through its concepts", answer: "Yes" });
  assert.equal(describeVerdict({ code: "worse_than_any", sentence: "" }).tone, "bad");
  assert.equal(describeVerdict({ code: "no_better_than_matched", sentence: "" }).tone, "neutral");
});

test("a report of multi-label data names mean average precision in the place of accuracy", () => {
  const report = { ...REPORT, quantity: "mean_average_precision" };
  const [few, score] = describeReport(report);
  assert.match(few, /reaches a mean average precision of 42\.0\u202f% on average/);
  assert.match(score, /of that mean average precision\.$/);
  assert.match(describeReport({ ...report, iis: null })[0], /^No score: the representation's mean average precision is no better/);
  assert.equal(quantityTitle(report), "Mean average precision");
  assert.equal(quantityTitle(REPORT), "Accuracy");
  assert.equal(commonQuantityName([report, report]), "mean average precision");
  assert.equal(commonQuantityName([report, REPORT]), "accuracy or mean average precision");
});

test("the reasons compare few concepts and IIS with both controls, and say on which side of 0 the gain lies", () => {
  const matched = { iis: 0.9, few_mean: 0.4, few_gain: 0.02, few_gain_low: 0.01, few_gain_high: 0.03 };
  const report = { ...REPORT, controls: { matched, isotropic: { iis: 0.95, few_mean: 0.41 } } };
  const [few, gain, score] = describeReasons(report);
  assert.match(few, /42\.0\u202f% with these concepts, 40\.0\u202f% with matched .* 41\.0\u202f% with any/);
  assert.match(gain, /is \+0\.020; its 95 % interval, 0\.010 to 0\.030, lies above 0/);
  assert.match(score, /IIS of 0\.920 .* matched directions have 0\.900, any directions 0\.950\.$/);
  const level = { ...matched, few_gain: 0, few_gain_low: -0.01 };
  assert.match(describeReasons({ ...report, controls: { ...report.controls, matched: level } })[1], /contains 0/);
  assert.deepEqual(describeReasons(REPORT), []);
});
