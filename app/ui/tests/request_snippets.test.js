// The request of a job as code, and the request that submits a job again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { jobRequest } from "../static/job_request.js";
import { commandSnippet, curlSnippet, pythonLiteral, pythonSnippet, shellWord } from "../static/request_snippets.js";

const JOB = {
  kind: "score",
  model: "mdl_1",
  dataset: "dst_1",
  library: { kind: "cluster", concept_count: 50, parts: [] },
  library_dataset: null,
  vlm: null,
  vocabulary: null,
  elements: { kind: "patches", images_per_class: 10, seed: 0, scales: [2, 4] },
  protocol: "exact",
  activations: "calibrated",
  seed: 3,
};
const MODEL = { architecture: "timm:resnet18", arguments: { num_classes: 10 }, preprocessing: { input_size: [32, 32], mean: [0.5, 0.5, 0.5] }, weights_sha256: "ab" };

test("the request of a job has its settings and leaves out what is missing", () => {
  assert.deepEqual(jobRequest(JOB), {
    kind: "score",
    model: "mdl_1",
    dataset: "dst_1",
    library: { kind: "cluster", concept_count: 50 },
    elements: JOB.elements,
    protocol: "exact",
    activations: "calibrated",
    seed: 3,
  });
});

test("the reference protocol takes no activations, and precomputed features no crops", () => {
  const request = jobRequest({ ...JOB, protocol: "reference", model: null });
  assert.equal("activations" in request, false);
  assert.equal("elements" in request, false);
  assert.equal("model" in request, false);
});

test("a vocabulary is requested in the version of the job, a shipped one by its name", () => {
  assert.equal(jobRequest({ ...JOB, vlm: "mdl_2", vocabulary: { id: "cst_1", version: 2 } }).vocabulary, "cst_1@2");
  assert.equal(jobRequest({ ...JOB, vlm: "mdl_2", vocabulary: { id: "birds", version: 1 } }).vocabulary, "birds");
});

test("own vectors are requested as the library that was fitted to them", () => {
  assert.deepEqual(jobRequest({ ...JOB, library: { kind: "vectors", concept_count: 6 } }, "lib_1").library, { id: "lib_1" });
});

test("words of a shell are quoted where they must be", () => {
  assert.equal(shellWord("num_classes=10"), "num_classes=10");
  assert.equal(shellWord("it's"), "'it'\\''s'");
  assert.equal(shellWord("$(rm)"), "'$(rm)'");
});

test("curl sends the request as JSON", () => {
  const body = curlSnippet("http://host", { kind: "score", seed: 3 }).match(/-d '([^]*)'$/)?.[1];
  assert.deepEqual(JSON.parse(body ?? ""), { kind: "score", seed: 3 });
});

test("Python has its own words for true, false and null", () => {
  assert.equal(pythonLiteral({ native: true, cutoff: null, scales: [1, 2], name: 'a "b"' }), '{"native": True, "cutoff": None, "scales": [1, 2], "name": "a \\"b\\""}');
  assert.match(pythonSnippet("http://host", jobRequest(JOB)), /client\.score\(\n {8}"mdl_1",\n {8}"dst_1",\n {8}\{"kind": "cluster", "concept_count": 50\},/);
});

test("the command has architecture, preprocessing, library and crops", () => {
  const command = commandSnippet(jobRequest(JOB), MODEL, "cd");
  for (const words of ["--arch timm:resnet18", "--arg num_classes=10", "--preprocess input_size=32", "--preprocess 'mean=[0.5,0.5,0.5]'"]) {
    assert.ok(command?.includes(words), words);
  }
  for (const words of ["--library cluster --concepts 50", "--scales 2,4", "--seed 3", "sha256 ab", "sha256 cd"]) assert.ok(command?.replaceAll(" \\\n  ", " ").includes(words), words);
});

test("a request that the command line cannot express has no command", () => {
  assert.equal(commandSnippet(jobRequest({ ...JOB, library: { id: "lib_1" } }), MODEL, "cd"), null);
  assert.equal(commandSnippet(jobRequest({ ...JOB, model: null }), null, null), null);
});
