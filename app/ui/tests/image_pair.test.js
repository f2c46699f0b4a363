// Concepts of two explained images.

import assert from "node:assert/strict";
import { test } from "node:test";

import { conceptsOfBoth } from "../static/image_pair.js";

test("concepts of both images come first, the largest before the others", () => {
  const one = { supporting: [{ concept: 1, contribution: 0.5 }, { concept: 2, contribution: 3 }], opposing: [{ concept: 4, contribution: -0.2 }] };
  const other = { supporting: [{ concept: 4, contribution: 1 }, { concept: 5, contribution: 0.1 }], opposing: [{ concept: 1, contribution: -0.1 }] };
  const found = conceptsOfBoth(one, other).map(({ contribution, values }) => [contribution.concept, ...values]);
  assert.deepEqual(found, [
    [4, -0.2, 1],
    [1, 0.5, -0.1],
    [2, 3, undefined],
    [5, undefined, 0.1],
  ]);
});
