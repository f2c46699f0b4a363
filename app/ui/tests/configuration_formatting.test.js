// Rows of a report's configuration.

import assert from "node:assert/strict";
import { test } from "node:test";

import { configurationRows } from "../static/configuration_formatting.js";

test("nested settings have the name of their group, missing ones no row, and notes follow", () => {
  const configuration = { seed: 0, model: { weights_sha256: "ab", layer: null, preprocessing: { mean: [0.5, 0.5] } } };
  assert.deepEqual(configurationRows({ iis: 0.9, accuracy_representation: 0.9, protocol: "exact", train_count: 90, configuration, notes: ["A note."] }), [
    ["protocol", "exact"],
    ["training images", "90"],
    ["seed", "0"],
    ["model: weights, sha256", "ab"],
    ["model: preprocessing: mean", "0.5, 0.5"],
    ["note", "A note."],
  ]);
});
