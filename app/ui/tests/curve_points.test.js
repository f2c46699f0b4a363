// Points of ARR curves, positions on the score scale.

import assert from "node:assert/strict";
import { test } from "node:test";

import { describeCurves, plottablePoints, pointTooltip } from "../static/curve_points.js";
import { scalePosition } from "../static/score_scale.js";

const POINTS = [0, 2, 4].map((kept) => ({ kept, sparsity: 1 - kept / 4, arr: kept / 4, arr_chance_corrected: kept === 2 ? null : 0.5 }));
const keptOf = (points) => points.map((point) => point.kept);

test("a logarithmic axis leaves out the point without concepts", () => {
  assert.deepEqual(keptOf(plottablePoints(POINTS, { axis: "kept", corrected: false })), [4, 2]);
});

test("the corrected measure leaves out points without a value", () => {
  assert.deepEqual(keptOf(plottablePoints(POINTS, { axis: "sparsity", corrected: true })), [4, 0]);
});

test("points are sorted by rising sparsity and the given list stays as it is", () => {
  assert.deepEqual(keptOf(plottablePoints(POINTS, { axis: "sparsity", corrected: false })), [4, 2, 0]);
  assert.deepEqual(keptOf(POINTS), [0, 2, 4]);
});

test("a tooltip has name, concepts, ARR and the quantity that is retained", () => {
  const point = { kept: 1, sparsity: 0.75, arr: 0.9, arr_low: 0.8, arr_high: 1, accuracy: 0.6, accuracy_low: 0.5, accuracy_high: 0.7 };
  assert.equal(
    pointTooltip("<b>", point, false, "mean average precision"),
    "&lt;b&gt;<br>1 concept kept, sparsity 0.75<br>ARR 0.900 (0.800 to 1.000)<br>mean average precision 0.600 (0.500 to 0.700)",
  );
  assert.match(pointTooltip("a", { ...point, arr_chance_corrected: 0.85 }, true, "accuracy"), /<br>ARR 0\.850, chance-corrected<br>/);
});

test("curves are described by their first point and the one at half sparsity", () => {
  assert.equal(
    describeCurves([{ name: "Concepts", points: POINTS }], "Accuracy"),
    "Accuracy retained over sparsity. Concepts: 1.00 with all concepts, 0.50 at sparsity 0.50. A table follows.",
  );
});

test("the scale runs from 6 to 154; scores beyond it are at its ends", () => {
  assert.equal(scalePosition(0), 6);
  assert.equal(scalePosition(0.55), 80);
  assert.equal(scalePosition(1.1), 154);
  assert.equal(scalePosition(-2), 6);
  assert.equal(scalePosition(7), 154);
});
