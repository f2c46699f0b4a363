// Order, search and folding of concepts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { foldDuplicates, groupConcepts, searchConcepts, sortConcepts } from "../static/concept_list.js";

const concept = (index, values = {}) => ({
  index,
  label: null,
  origin: "cluster",
  exemplars: [],
  details: null,
  importance: null,
  firing_rate: null,
  class_purity: null,
  mono_score: null,
  top_class: null,
  never_fires: false,
  duplicates: [],
  phrases: [],
  ...values,
});
const indices = (concepts) => concepts.map(({ index }) => index);

test("concepts are sorted by a value, largest first, without a value last", () => {
  const concepts = [concept(0, { importance: 0.1 }), concept(1), concept(2, { importance: 0.3 })];
  assert.deepEqual(indices(sortConcepts(concepts, "importance")), [2, 0, 1]);
  assert.deepEqual(indices(sortConcepts(concepts, "index")), [0, 1, 2]);
});

test("classes rise, and the purest concept of a class comes first", () => {
  const concepts = [
    concept(0, { top_class: "10", class_purity: 0.5 }),
    concept(1, { top_class: "9", class_purity: 0.5 }),
    concept(2, { top_class: "9", class_purity: 0.9 }),
  ];
  assert.deepEqual(indices(sortConcepts(concepts, "top_class")), [2, 1, 0]);
});

test("a search finds names, numbers, classes and phrases, all words of it", () => {
  const concepts = [concept(0, { label: "a red wheel", top_class: "car" }), concept(1, { phrases: ["a blue Wheel"] }), concept(12)];
  assert.deepEqual(indices(searchConcepts(concepts, "wheel")), [0, 1]);
  assert.deepEqual(indices(searchConcepts(concepts, "wheel CAR")), [0]);
  assert.deepEqual(indices(searchConcepts(concepts, "12")), [2].map(() => 12));
  assert.deepEqual(indices(searchConcepts(concepts, " ")), [0, 1, 12]);
});

test("near-duplicates are folded into the first of them that is shown", () => {
  const concepts = [concept(3, { duplicates: [1] }), concept(0), concept(1, { duplicates: [3, 2] }), concept(2, { duplicates: [1] })];
  const groups = foldDuplicates(concepts).map((group) => [group.concept.index, indices(group.folded)]);
  assert.deepEqual(groups, [[3, [1]], [0, []], [2, []]]);
});

test("concepts that match are grouped into as many cards as remain after search and folding", () => {
  const concepts = [concept(0, { duplicates: [1], phrases: ["a loop"] }), concept(1, { duplicates: [0], phrases: ["a loop"] }), concept(2)];
  const folded = groupConcepts(concepts, "index", "loop", true);
  assert.deepEqual([folded.found.length, folded.groups.length], [2, 1]);
  assert.equal(groupConcepts(concepts, "index", "loop", false).groups.length, 2);
  assert.equal(groupConcepts(concepts, "index", "", true).groups.length, 2);
});
