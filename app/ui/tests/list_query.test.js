// Query of a list.

import assert from "node:assert/strict";
import { test } from "node:test";

import { listQuery } from "../static/list_query.js";

test("filters become parameters, and empty ones none", () => {
  assert.equal(String(listQuery({ name: " ", state: "", kind: "", tag: "", sort: "" }, 20)), "limit=20");
  assert.equal(
    String(listQuery({ name: " a&b ", state: "failed", kind: "score", tag: "base line", sort: "-iis" }, 20)),
    "limit=20&name_contains=a%26b&state=failed&kind=score&tag=base+line&sort=-iis",
  );
});
