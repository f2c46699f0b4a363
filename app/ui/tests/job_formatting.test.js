// Names of states; descriptions of libraries, jobs and progress.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeJob, describeLibrary, describeOverall, describeProgress, describeQueue, isFinished, stateName, stateSymbol, titleWithProgress } from "../static/job_formatting.js";

test("only succeeded, failed and canceled jobs are finished", () => {
  const states = ["queued", "running", "canceling", "succeeded", "failed", "canceled"];
  assert.deepEqual(states.filter(isFinished), ["succeeded", "failed", "canceled"]);
});

test("states have a symbol and a name; an unknown state keeps its own name", () => {
  assert.deepEqual([stateSymbol("failed"), stateName("failed")], ["✕", "failed"]);
  assert.deepEqual([stateSymbol("succeeded"), stateName("succeeded")], ["●", "succeeded"]);
  assert.deepEqual([stateSymbol("paused"), stateName("paused")], ["·", "paused"]);
});

test("a library is described by its count and kind", () => {
  assert.equal(describeLibrary({ kind: "cluster", concept_count: 8 }), "8 clusters");
  assert.equal(describeLibrary({ kind: "text", concept_count: 200 }), "up to 200 phrases");
  assert.equal(describeLibrary({ id: "lib_1" }), "library of an earlier job");
  const parts = [{ kind: "prototype", concept_count: 5 }, { kind: "random", concept_count: 3 }];
  assert.equal(describeLibrary({ kind: "combined", parts }), "5 prototypes and 3 random directions");
});

test("a job is described by what it computes", () => {
  const library = { kind: "cluster", concept_count: 6 };
  assert.equal(describeJob({ kind: "score", library }), "6 clusters");
  assert.equal(describeJob({ kind: "finetune", library, lambda: 0.5 }), "fine-tuned with 6 clusters, λ = 0.5");
  assert.equal(describeJob({ kind: "explain", split: "test" }), "explanations of the test images");
  assert.equal(describeJob({ kind: "explain", split: null }), "explanations of an archive");
});

test("progress shows stage, count and remaining time where they are known", () => {
  const progress = { title: "Extracting features", done: 640, total: 1797, eta_seconds: 12.4 };
  assert.equal(describeProgress(progress), "Extracting features, 640 of 1,797, about 12 seconds left in this stage");
  const shared = { ...progress, tasks: { done: 2, total: 9, workers: 3 } };
  assert.equal(describeProgress(shared), "Extracting features on 3 workers, 640 of 1,797, about 12 seconds left in this stage");
  assert.equal(describeProgress({ ...progress, tasks: { done: 2, total: 9, workers: 1 } }), describeProgress(progress));
  assert.equal(describeProgress({ title: "Writing the report", done: 0, total: 1, eta_seconds: null }), "Writing the report");
});

test("the tab's title has the share of the stage that is done, rounded down", () => {
  assert.equal(titleWithProgress("ResNet", { title: "Extracting features", done: 629, total: 1000 }), "62 % · ResNet");
  assert.equal(titleWithProgress("ResNet", { title: "Extracting features", done: 0, total: 0 }), "ResNet");
});

test("progress of the whole job has its share and the time left over all stages", () => {
  assert.equal(describeOverall({ share_done: 0.629, eta_seconds: 170 }), "62 % done, about 3 minutes left");
  assert.equal(describeOverall({ share_done: 0.629, eta_seconds: null }), "62 % done");
  const progress = { title: "Extracting features", done: 3, total: 4, overall: { share_done: 0.629, eta_seconds: 170 } };
  assert.equal(titleWithProgress("A job", progress), "62 % · A job");
});

test("the place in the queue is named where it is known", () => {
  assert.equal(describeQueue(1), "Next in the queue.");
  assert.equal(describeQueue(1200), "Number 1,200 in the queue.");
  assert.equal(describeQueue(null), "Waiting for a worker.");
});
