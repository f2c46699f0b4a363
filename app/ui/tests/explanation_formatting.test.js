// Sentences about explanations, names of concepts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { conceptName } from "../static/concept_names.js";
import * as sentences from "../static/explanation_formatting.js";

const EIGHT = { class: "8", probability: 0.75 };
const THREE = { class: "3", probability: 0.5 };

test("a concept is named by its label or its number", () => {
  assert.equal(conceptName({ label: "a loop", concept: 1 }), "a loop");
  assert.equal(conceptName({ label: null, concept: 2 }), "Concept 2");
  assert.equal(conceptName({ label: null, index: 0, activation: -0.2 }), "Concept 0 (negative activation)");
});

test("agreement names one class, disagreement both with their probabilities", () => {
  assert.equal(sentences.describeAgreement({ representation: EIGHT, interpretation: EIGHT, agree: true }), "Representation and kept concepts agree on 8.");
  assert.equal(
    sentences.describeAgreement({ representation: EIGHT, interpretation: THREE, agree: false }),
    "They disagree: 8 (75.0\u202f%) from the representation, 3 (50.0\u202f%) from the kept concepts.",
  );
});

test("correctness has four outcomes, and none where the class is unknown", () => {
  const image = { label: "8" };
  const outcomes = [
    [true, true, "both are correct"],
    [true, false, "only the representation is correct"],
    [false, true, "only the kept concepts are correct"],
    [false, false, "both are wrong"],
  ];
  for (const [representation, interpretation, outcome] of outcomes) {
    const correct = { representation, interpretation };
    assert.equal(sentences.describeCorrectness({ image, correct }), `True class: 8; ${outcome}.`);
  }
  assert.equal(sentences.describeCorrectness({ image: { label: null }, correct: null }), "The true class is unknown.");
});

test("the true labels of multi-label data are listed, also where there is none", () => {
  assert.equal(sentences.describeCorrectness({ image: { label: null, labels: ["sky", "tree"] }, correct: null }), "True labels: sky, tree.");
  assert.equal(sentences.describeCorrectness({ image: { label: null, labels: [] }, correct: null }), "True labels: none.");
});

test("contributions and bias add up to the logit", () => {
  const explanation = { explained: { class: "8" }, contrast: null, logit: 3.25, bias: 0.25 };
  assert.equal(sentences.describeLogit(explanation), "Sum of contributions (3.00) + bias (0.25) = logit of 8 (3.25).");
  const contrasted = sentences.describeLogit({ ...explanation, contrast: { class: "3" } });
  assert.match(contrasted, /= logit difference of 8 over 3 \(3\.25\)\.$/);
});

test("a counterfactual lists the removed concepts and the other class", () => {
  const removed = [{ concept: 1, label: "a loop" }, { concept: 2, label: null }];
  const explanation = { counterfactual: { removed, ...THREE }, explained: { class: "8" } };
  assert.equal(
    sentences.describeCounterfactual(explanation),
    "Without “a loop” and “Concept 2”, the prediction changes from 8 to 3 (50.0\u202f%).",
  );
  assert.equal(
    sentences.describeCounterfactual({ ...explanation, counterfactual: null }),
    "The prediction stays 8 after any removal of concepts.",
  );
});

test("a counterfactual of a label takes its probability across one half, from either side", () => {
  const removed = [{ concept: 1, label: "blue" }];
  const sky = { explained: { class: "sky" }, labels: [], logit: 1.2 };
  const describe = (changes) => sentences.describeCounterfactual({ ...sky, ...changes });
  const falls = { removed, class: "not sky", probability: 0.75 };
  assert.equal(describe({ counterfactual: falls }), "Without “blue”, the probability of sky falls below 1/2 (25.0\u202f%).");
  const rises = { removed, class: "sky", probability: 0.6 };
  assert.equal(describe({ counterfactual: rises, logit: -1 }), "Without “blue”, the probability of sky rises above 1/2 (60.0\u202f%).");
  assert.equal(describe({ counterfactual: null }), "The probability of sky stays above 1/2 after any removal of concepts.");
  assert.equal(describe({ counterfactual: null, logit: -1 }), "The probability of sky stays below 1/2 after any removal of concepts.");
});

test("an intervention changes the prediction, or the most probable label of multi-label data", () => {
  const result = { before: EIGHT, after: THREE, changed: true };
  assert.equal(sentences.describeIntervention(result, false), "The prediction changes from 8 to 3 (50.0\u202f%).");
  assert.equal(sentences.describeIntervention(result, true), "The most probable label changes from 8 to 3 (50.0\u202f%).");
  assert.equal(
    sentences.describeIntervention({ before: EIGHT, after: { ...EIGHT, probability: 0.5 }, changed: false }, true),
    "The most probable label stays 8: 50.0\u202f% instead of 75.0\u202f%.",
  );
});

test("an image shows its class, or its labels in multi-label data", () => {
  assert.equal(sentences.describeTrueLabels({ label: "8" }), "8");
  assert.equal(sentences.describeTrueLabels({ label: null, labels: ["sky", "tree"] }), "sky, tree");
  assert.equal(sentences.describeTrueLabels({ label: null, labels: [] }), "no label");
});

test("the peak of a heat map is described by its place and sign", () => {
  assert.equal(
    sentences.describePeak([[0, 0, 0], [0, 0, 0], [0, 0.1, -2]]),
    "largest in the lower right, where it lowers the activation",
  );
  assert.equal(sentences.describePeak([[0, 0, 0], [0, 5, 0], [0, 0, 1]]), "largest in the centre, where it raises the activation");
  assert.equal(sentences.describePeak([[0, 0], [0, 0]]), "no maximum");
});

test("a node is described by its concepts and sparsity", () => {
  assert.equal(sentences.describeNode({ kept: 20, sparsity: 0.9 }, 200), "20 of 200 concepts kept, sparsity 0.90");
});

test("novelty has its p-value and distances, and no judgement from few training images", () => {
  const novelty = { distance: 5.2, typical_distance: 4.8, p_value: 0.41, unlike: false, training_images: 2048 };
  const distances = "the distance of its representation to the nearest training image is 5.200, that of training images typically 4.800";
  assert.equal(sentences.describeNovelty(novelty), `Not unlike the training images (p = 0.410): ${distances}.`);
  assert.equal(
    sentences.describeNovelty({ ...novelty, p_value: 1 / 2049, unlike: true }),
    `This image is unlike the training images (p < 0.001): ${distances}. The explanation may say little.`,
  );
  const few = `99 training images are too few to judge whether this image is unlike them: ${distances}.`;
  assert.equal(sentences.describeNovelty({ ...novelty, p_value: 0.01, training_images: 99 }), few);
  assert.match(sentences.describeNovelty({ ...novelty, p_value: 1 / 101, unlike: true, training_images: 100 }), /^This image is unlike .*p = 0.010/);
});
