// Descriptions of studies; ranges near chance; titles of compared jobs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { distinctTitles } from "../static/resource_names.js";
import { describeGrid, describeJobCounts, describeSetting, formatEstimate, formatMeasurement, nearChanceRanges } from "../static/study_formatting.js";

const GRID = { models: ["a", "b", "c"], datasets: ["d"], libraries: [{}, {}], concept_counts: [50], seeds: [0], evolution: false };

test("a grid is described by the sizes of its dimensions", () => {
  assert.equal(describeGrid(GRID), "3 models × 1 data set × 2 libraries");
  const large = { ...GRID, evolution: true, concept_counts: [50, 200], seeds: [0, 1, 2] };
  assert.equal(describeGrid(large), "3 checkpoints × 1 data set × 2 libraries × 2 concept counts × 3 seeds");
  assert.equal(describeGrid({ ...GRID, models: [], concept_counts: null }), "1 representation × 2 libraries");
});

test("job counts name only the states that occur", () => {
  const jobs = { total: 1200, queued: 0, running: 2, canceling: 1, succeeded: 1, failed: 4, canceled: 0 };
  assert.equal(describeJobCounts(jobs), "1 job of 1,200 finished, 3 running, 4 failed");
});

test("a setting is described by what its models share", () => {
  assert.equal(describeSetting({ dataset_name: "digits" }), "digits");
  const setting = { dataset_name: "digits", library: "cluster", concept_count: 50, library_dataset: "dst_1", library_dataset_name: "birds" };
  assert.equal(describeSetting(setting), "digits, cluster, 50 concepts, library from birds");
  assert.equal(describeSetting({ ...setting, edition: 2 }), "digits, cluster, 50 concepts, library from birds, edition 2");
});

test("estimates have an interval where there is one, and a dash where they are undefined", () => {
  assert.equal(formatEstimate({ value: 0.72, low: 0.31, high: 0.93 }), "0.72 (0.31 to 0.93)");
  assert.equal(formatEstimate({ value: -0.5, low: null, high: null }), "−0.50");
  assert.equal(formatEstimate({ value: null }), "–");
  assert.equal(formatMeasurement({ value: 0.9, low: 0.8, high: 1 }), "0.900 (0.800 to 1.000)");
  assert.equal(formatMeasurement(null), "–");
});

test("ranges near chance reach half way to the neighbours", () => {
  const points = [[0, true], [10, false], [30, true]].map(([epoch, near]) => ({ epoch, near_chance: near }));
  assert.deepEqual(nearChanceRanges(points), [[0, 5], [20, 30]]);
});

test("titles of compared jobs are distinct", () => {
  assert.deepEqual(distinctTitles([{ title: "a", dataset: "d" }, { title: "b", dataset: "d" }]), ["a", "b"]);
  const items = [{ title: "a", dataset: "d" }, { title: "a", dataset: "d" }, { title: "a", dataset: "e" }];
  assert.deepEqual(distinctTitles(items), ["a, d (1)", "a, d (2)", "a, e"]);
});
