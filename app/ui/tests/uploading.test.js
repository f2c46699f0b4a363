// Division of files into parts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { planParts } from "../static/uploading.js";

test("the last part has the remaining bytes", () => {
  assert.deepEqual(planParts(1001, 500), [
    { number: 1, start: 0, size: 500 },
    { number: 2, start: 500, size: 500 },
    { number: 3, start: 1000, size: 1 },
  ]);
});

test("a file that fits into one part has one", () => {
  assert.deepEqual(planParts(500, 500), [{ number: 1, start: 0, size: 500 }]);
});

test("parts of a very large file grow so that there are at most 10,000", () => {
  const sizeBytes = 10 ** 12;
  const parts = planParts(sizeBytes);
  assert.equal(parts.length, 10_000);
  assert.equal(parts.reduce((sum, part) => sum + part.size, 0), sizeBytes);
});
