// Confusion matrices: classes shown, shades of cells.

import assert from "node:assert/strict";
import { test } from "node:test";

import { confusionShade, lowestFirst, mostConfused } from "../static/confusion_formatting.js";

test("classes without a test image come after those with the lowest values", () => {
  const classes = [null, 0.4, 0, 0.2].map((interpretation) => ({ accuracy: { representation: 0.5, interpretation } }));
  assert.deepEqual(lowestFirst(classes).map(({ accuracy }) => accuracy.interpretation), [0, 0.2, 0.4, null]);
});

test("the classes in most errors are shown in the order of the classes", () => {
  const matrix = [
    [9, 0, 0, 1],
    [0, 9, 0, 0],
    [0, 0, 7, 3],
    [0, 0, 0, 9],
  ];
  assert.deepEqual(mostConfused([matrix], 2), [2, 3]);
  assert.deepEqual(mostConfused([matrix, matrix], 4), [0, 1, 2, 3]);
});

test("shades rise with the share and leave out those on which no text is legible", () => {
  assert.deepEqual(confusionShade(0.5), { percent: 80, strong: true });
  assert.deepEqual(confusionShade(1), { percent: 100, strong: true });
  const weak = [0.01, 0.1, 0.3, 0.49].map((share) => confusionShade(share).percent);
  assert.deepEqual(weak, weak.toSorted((first, second) => first - second));
  assert.ok(weak[0] >= 6 && weak[3] <= 45);
});
