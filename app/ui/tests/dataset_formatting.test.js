// Words and rows on the content of a data set.

import assert from "node:assert/strict";
import { test } from "node:test";

import { classCounts, describeContent, unreadableReasons } from "../static/dataset_formatting.js";

const INFO = {
  class_names: ["b", "a"],
  train: 1200,
  test: 1,
  counts: { train: { a: 200, b: 1000 }, test: { b: 1 } },
  corrupt_count: 3,
  corrupt_reasons: { truncated: 1, "not an image": 2 },
};

test("the content is counted by split, and unreadable images are named", () => {
  assert.equal(describeContent({ kind: "images", info: INFO }), "2 classes · 1,200 training images · 1 test image · 3 unreadable");
  assert.equal(describeContent({ kind: "features", info: { class_names: ["x"], train: 1, test: 2 } }), "1 class · 1 training row · 2 test rows");
  assert.equal(describeContent({ kind: "images", info: { train: 2, test: 1 } }), "2 training images · 1 test image", "as a list has it");
  assert.equal(describeContent({ kind: "images", info: null }), "images");
});

test("classes keep their order and count 0 where a split lacks them", () => {
  assert.deepEqual(classCounts(INFO), [
    { name: "b", train: 1000, test: 1 },
    { name: "a", train: 200, test: 0 },
  ]);
});

test("reasons of unreadable images are sorted by frequency", () => {
  assert.deepEqual(unreadableReasons(INFO), [
    ["not an image", 2],
    ["truncated", 1],
  ]);
  assert.deepEqual(unreadableReasons({}), []);
});
