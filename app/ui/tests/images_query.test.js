// Query of the list of test images.

import assert from "node:assert/strict";
import { test } from "node:test";

import { imagesQuery } from "../static/images_query.js";

test("filters become parameters, and empty ones none", () => {
  assert.equal(String(imagesQuery({ outcome: "", confidence: "", class: "" }, 24)), "limit=24");
  assert.equal(
    String(imagesQuery({ outcome: "wrong", confidence: "0.5-0.9", class: "a&b", predicted: "c" }, 24)),
    "limit=24&wrong=true&min_confidence=0.5&max_confidence=0.9&class=a%26b&predicted=c",
  );
  assert.equal(String(imagesQuery({ confidence: "0.9-" }, 24)), "limit=24&min_confidence=0.9");
  assert.equal(String(imagesQuery({ confidence: "-0.5" }, 24)), "limit=24&max_confidence=0.5");
});
