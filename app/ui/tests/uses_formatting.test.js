// Sentences on what uses a model or data set.

import assert from "node:assert/strict";
import { test } from "node:test";

import { deletionQuestion, deletionRefusal, describeUses } from "../static/uses_formatting.js";

const USES = { unfinished_jobs: 0, finished_jobs: 2, studies: 1, concept_libraries: 2, deletable: true };
const NONE = { unfinished_jobs: 0, finished_jobs: 0, studies: 0, concept_libraries: 0, deletable: true };

test("uses are counted with their nouns, and none are left out", () => {
  assert.equal(describeUses(USES), "Used by 2 finished jobs, 1 study, 2 concept libraries.");
  assert.equal(describeUses(NONE), "Not used.");
});

test("the question before a deletion says what uses the model, and what finished jobs keep", () => {
  const question = deletionQuestion("model", "net", USES);
  assert.match(question, /^Delete the model net\?\n\nUsed by 2 finished jobs.*Finished jobs keep its name and all results/);
  assert.doesNotMatch(deletionQuestion("model", "net", NONE), /Finished jobs/);
  assert.match(deletionRefusal("data set", "digits", { ...NONE, unfinished_jobs: 1, deletable: false }), /1 unfinished job of it/);
});
