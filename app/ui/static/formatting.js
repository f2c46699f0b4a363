// Formatting of numbers, intervals, counts, sizes and times.

/** @typedef {number | null | undefined} Optional */

const ROUNDED_ZERO = /^-?[0.]+$/;

/** @param {string} text */
export const capitalise = (text) => text[0].toUpperCase() + text.slice(1);

/**
 * @param {unknown} value
 * @returns {value is null | undefined}
 */
export const isMissing = (value) => value === null || value === undefined;

/**
 * Rounded, with a minus sign; zero has no sign.
 * @param {number} value
 * @param {number} digits
 */
function round(value, digits) {
  const text = value.toFixed(digits);
  return ROUNDED_ZERO.test(text) ? text.replace("-", "") : text.replace("-", "−");
}

/**
 * @param {Optional} value
 * @param {number} [digits]
 */
export const formatNumber = (value, digits = 3) => (isMissing(value) ? "–" : round(value, digits));

/**
 * A number with its sign: +0.001, −0.001, 0.000.
 * @param {Optional} value
 * @param {number} [digits]
 */
export function formatSigned(value, digits = 3) {
  const positive = !isMissing(value) && value > 0 && !ROUNDED_ZERO.test(value.toFixed(digits));
  return (positive ? "+" : "") + formatNumber(value, digits);
}

/** @param {Optional} value a share, 0 to 1 */
export const formatPercent = (value) => (isMissing(value) ? "–" : `${(100 * value).toFixed(1)}\u202f%`);

/**
 * @param {Optional} low
 * @param {Optional} high
 */
export const formatInterval = (low, high) => (isMissing(low) || isMissing(high) ? "" : `${formatNumber(low)} to ${formatNumber(high)}`);

/**
 * @param {Optional} low
 * @param {Optional} high
 */
export const formatPercentInterval = (low, high) => (isMissing(low) || isMissing(high) ? "" : `${formatPercent(low)} to ${formatPercent(high)}`);

/**
 * Half the width of an interval: ± 0.012.
 * @param {Optional} low
 * @param {Optional} high
 */
export const formatHalfWidth = (low, high) => (isMissing(low) || isMissing(high) ? "" : `± ${formatNumber((high - low) / 2)}`);

/**
 * A difference with its interval: +0.031 (0.010 to 0.052).
 * @param {Optional} value
 * @param {Optional} low
 * @param {Optional} high
 */
export const formatGain = (value, low, high) => formatSigned(value) + (isMissing(low) || isMissing(high) ? "" : ` (${formatInterval(low, high)})`);

/** @param {number} count */
export const formatInteger = (count) => count.toLocaleString("en");

/**
 * A count with its noun: 1 job, 1,200 jobs.
 * @param {number} count
 * @param {string} singular
 * @param {string} [plural]
 */
export const formatCount = (count, singular, plural = `${singular}s`) => `${formatInteger(count)} ${count === 1 ? singular : plural}`;

/** @param {number} count */
export function formatBytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

/** @param {number} seconds */
export function formatDuration(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return formatCount(Math.round(seconds), "second");
  if (seconds < 5400) return formatCount(Math.round(seconds / 60), "minute");
  return formatCount(Math.round(seconds / 3600), "hour");
}

/**
 * A date with its year, such as 5 Mar 2026.
 * @param {string} timestamp ISO 8601
 */
export function formatDay(timestamp) {
  return new Date(timestamp).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/**
 * A time stamp in the browser's time zone.
 * @param {string | null | undefined} timestamp ISO 8601
 */
export function formatTime(timestamp) {
  if (!timestamp) return "";
  return new Date(timestamp).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
