// Order of values in sortable tables.

import assert from "node:assert/strict";
import { test } from "node:test";

import { compareValues } from "../static/sortable_table.js";

const sorted = (values, descending) => values.toSorted((first, second) => compareValues(first, second, descending));

test("numbers are compared by value", () => {
  assert.deepEqual(sorted([10, 9, -1], false), [-1, 9, 10]);
  assert.deepEqual(sorted([10, 9, -1], true), [10, 9, -1]);
});

test("numbers within texts are compared by value", () => {
  assert.deepEqual(sorted(["step 10", "step 9", "a"], false), ["a", "step 9", "step 10"]);
});

test("missing values are last in both directions", () => {
  assert.deepEqual(sorted([null, 2, undefined, 1], false).slice(0, 2), [1, 2]);
  assert.deepEqual(sorted([null, 2, undefined, 1], true).slice(0, 2), [2, 1]);
});
