// Colours and resampling of heat maps.

import assert from "node:assert/strict";
import { test } from "node:test";

import { heatColour, heatLab, labToRgb, largestMagnitude, resample } from "../static/heat_map_colours.js";

const SHARES = Array.from({ length: 41 }, (_, index) => index / 20 - 1);

test("equal steps of a value are equal steps of colour on each side", () => {
  for (const side of [SHARES.slice(0, 21), SHARES.slice(20)]) {
    const steps = side.slice(1).map((share, index) => Math.hypot(...heatLab(share).map((part, axis) => part - heatLab(side[index])[axis])));
    assert.ok(Math.max(...steps) - Math.min(...steps) < 1e-9);
    assert.ok(steps[0] > 0.02);
  }
});

test("every colour of the map can be shown without clipping", () => {
  for (const share of SHARES) for (const part of labToRgb(heatLab(share))) assert.ok(part > -0.5 && part < 255.5, `${share}: ${part}`);
});

test("known colours are converted from OKLab: white, black and the red of sRGB", () => {
  assert.deepEqual(labToRgb([1, 0, 0]).map(Math.round), [255, 255, 255]);
  assert.deepEqual(labToRgb([0, 0, 0]).map(Math.round), [0, 0, 0]);
  assert.deepEqual(labToRgb([0.62796, 0.22486, 0.12585]).map((part) => Math.abs(Math.round(part))), [255, 0, 0]);
});

test("red is above 0, blue below, and 0 is transparent", () => {
  const [red, , blue] = heatColour(1);
  assert.ok(red > 1.5 * blue);
  const negative = heatColour(-1);
  assert.ok(negative[2] > 1.5 * negative[0]);
  assert.equal(heatColour(0)[3], 0);
  assert.equal(heatColour(1)[3], 255);
});

test("a map is resized bilinearly, computed by hand", () => {
  assert.deepEqual([...resample([[0, 4]], 4, 1)], [0, 1, 3, 4]);
  assert.deepEqual([...resample([[1, 2], [3, 4]], 2, 2)], [1, 2, 3, 4]);
  assert.equal(largestMagnitude([[1, -5], [3, 4]]), 5);
});
