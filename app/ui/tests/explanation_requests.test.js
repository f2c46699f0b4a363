// Addresses of explanations and bodies of interventions.

import assert from "node:assert/strict";
import { test } from "node:test";

import { explanationPath, hasChanges, interventionRequest } from "../static/explanation_requests.js";

test("the address contains only the given options, encoded", () => {
  assert.equal(explanationPath("job_1", "17"), "/v1/jobs/job_1/explanations/17");
  assert.equal(
    explanationPath("job_1", "img/2", { kept: 8, contrast: "a & b", top: undefined }),
    "/v1/jobs/job_1/explanations/img%2F2?kept=8&contrast=a+%26+b",
  );
  assert.equal(explanationPath("job_1", "17", { kept: 0, contrast: "" }), "/v1/jobs/job_1/explanations/17?kept=0");
});

test("changes are suppressions, factors and activations; a factor of 1 is none", () => {
  const changes = new Map([[1, { factor: 0 }], [2, { factor: 2 }], [3, { factor: 1 }], [4, { activation: 0 }]]);
  const body = interventionRequest(changes, 5);
  assert.deepEqual(body, { kept: 5, set: [{ concept: 4, activation: 0 }], scale: [{ concept: 2, factor: 2 }], suppress: [1] });
  assert.ok(hasChanges(body));
  assert.ok(!hasChanges(interventionRequest(new Map([[3, { factor: 1 }]]), 5)));
});
