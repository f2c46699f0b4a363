// Of overlapping loads only the latest counts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { latestOnly } from "../static/latest_load.js";

test("a superseded load resolves with null, whichever ends first and however it ends", async () => {
  for (const order of [["first", "second", "third"], ["third", "second", "first"]]) {
    /** @type {Map<string, {resolve: (value: string) => void, reject: (error: Error) => void}>} */
    const pending = new Map();
    const load = latestOnly((/** @type {string} */ name) => new Promise((resolve, reject) => pending.set(name, { resolve, reject })));
    const loads = ["first", "second", "third"].map((name) => load(name));
    for (const name of order) {
      if (name === "second") pending.get(name)?.reject(new Error(name));
      else pending.get(name)?.resolve(name);
    }
    assert.deepEqual(await Promise.all(loads), [null, null, "third"]);
  }
});

test("the latest load fails as it does without others", async () => {
  const load = latestOnly(() => Promise.reject(new Error("unreachable")));
  await assert.rejects(load(), /unreachable/);
});
