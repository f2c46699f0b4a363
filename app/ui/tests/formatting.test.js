// Formatting of numbers, intervals, counts, sizes and durations.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as formatting from "../static/formatting.js";

test("numbers are rounded and have a minus sign", () => {
  assert.equal(formatting.formatNumber(-0.5, 2), "−0.50");
  assert.equal(formatting.formatNumber(0.9214), "0.921");
  assert.equal(formatting.formatNumber(3, 0), "3");
});

test("a number that rounds to zero has no sign", () => {
  assert.equal(formatting.formatNumber(-0.0004), "0.000");
  assert.equal(formatting.formatSigned(0.0004), "0.000");
  assert.equal(formatting.formatSigned(-0.0004), "0.000");
});

test("signed numbers have a plus or a minus sign", () => {
  assert.equal(formatting.formatSigned(0.0006), "+0.001");
  assert.equal(formatting.formatSigned(-0.0006), "−0.001");
  assert.equal(formatting.formatSigned(12.34, 1), "+12.3");
});

test("missing values are shown as a dash, missing intervals as nothing", () => {
  assert.equal(formatting.formatNumber(null), "–");
  assert.equal(formatting.formatSigned(undefined), "–");
  assert.equal(formatting.formatPercent(null), "–");
  assert.equal(formatting.formatInterval(0.1, null), "");
  assert.equal(formatting.formatHalfWidth(undefined, 0.2), "");
});

test("shares are shown as percentages with a narrow space", () => {
  assert.equal(formatting.formatPercent(0.5), "50.0\u202f%");
  assert.equal(formatting.formatPercent(0.9286), "92.9\u202f%");
  assert.equal(formatting.formatPercentInterval(0.911, 0.945), "91.1\u202f% to 94.5\u202f%");
});

test("intervals are shown as bounds or as half their width", () => {
  assert.equal(formatting.formatInterval(-0.0004, 0.0094), "0.000 to 0.009");
  assert.equal(formatting.formatHalfWidth(0.909, 0.933), "± 0.012");
});

test("counts have a singular, a plural and thousands separators", () => {
  assert.equal(formatting.formatCount(1, "job"), "1 job");
  assert.equal(formatting.formatCount(0, "job"), "0 jobs");
  assert.equal(formatting.formatCount(1200, "class", "classes"), "1,200 classes");
});

test("sizes use binary units", () => {
  assert.equal(formatting.formatBytes(0), "0 bytes");
  assert.equal(formatting.formatBytes(1023), "1023 bytes");
  assert.equal(formatting.formatBytes(1024), "1.0 KiB");
  assert.equal(formatting.formatBytes(1536), "1.5 KiB");
  assert.equal(formatting.formatBytes(5 * 1024 ** 3), "5.0 GiB");
  assert.equal(formatting.formatBytes(2 ** 52), "4096.0 TiB");
});

test("durations use seconds up to 90, then minutes, then hours", () => {
  assert.equal(formatting.formatDuration(0.4), "less than a second");
  assert.equal(formatting.formatDuration(1), "1 second");
  assert.equal(formatting.formatDuration(89), "89 seconds");
  assert.equal(formatting.formatDuration(90), "2 minutes");
  assert.equal(formatting.formatDuration(5400), "2 hours");
});

test("times show day, month, hour and minute", () => {
  assert.equal(formatting.formatTime("2026-01-12T09:31:12"), "12 Jan, 09:31");
  assert.equal(formatting.formatTime(null), "");
});

test("a gain has its sign, and its interval where there is one", () => {
  assert.equal(formatting.formatGain(0.031, 0.01, 0.052), "+0.031 (0.010 to 0.052)");
  assert.equal(formatting.formatGain(-0.02, -0.05, null), "−0.020");
  assert.equal(formatting.formatGain(null, null, null), "–");
});
