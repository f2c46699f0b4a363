// Sentences about the cost of a submission.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeCost } from "../static/cost_estimate.js";

test("a cost names jobs, images and the time with its basis", () => {
  const cost = { jobs: 2, reused: 0, images: 2797, seconds: 140, basis: "Your last finished job took 1 second." };
  assert.equal(describeCost(cost), "Cost: 2 jobs, 2,797 images and crops through the network, about 2 minutes. Your last finished job took 1 second.");
});

test("unknown parts are left out, and scores that exist cost nothing", () => {
  assert.equal(describeCost({ jobs: 1, reused: 0, images: null, seconds: null, basis: "No job has finished." }), "Cost: 1 job. No job has finished.");
  assert.equal(describeCost({ jobs: 1, reused: 1, images: 0, seconds: 0, basis: "" }), "Cost: none. You have these scores already.");
  const stored = describeCost({ jobs: 1, reused: 0, images: 0, seconds: 30, basis: "B." });
  assert.equal(stored, "Cost: 1 job, no image through the network, since its features are stored, about 30 seconds. B.");
});
