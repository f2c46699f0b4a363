// Words and rows on the content of a data set.

import { formatCount, isMissing } from "./formatting.js";

/** @import { Dataset } from "../types.d.ts" */

/** @param {Pick<Dataset, "kind" | "info">} dataset */
export function describeContent({ kind, info }) {
  const noun = kind === "features" ? "row" : "image";
  if (isMissing(info?.train) || isMissing(info.test)) return kind === "features" ? "features" : "images";
  const classes = info.class_names?.length ? [formatCount(info.class_names.length, "class", "classes")] : []; // lists of data sets leave them out
  const counts = [...classes, formatCount(info.train, `training ${noun}`), formatCount(info.test, `test ${noun}`)];
  return counts.join(" · ") + (info.corrupt_count ? ` · ${info.corrupt_count} unreadable` : "");
}

/**
 * Images of each class, in the order of the class names.
 * @param {NonNullable<Dataset["info"]>} info
 * @returns {{name: string, train: number, test: number}[]}
 */
export const classCounts = ({ class_names: names = [], counts }) =>
  names.map((name) => ({ name, train: counts?.train[name] ?? 0, test: counts?.test[name] ?? 0 }));

/**
 * Reasons why images could not be read, most frequent first.
 * @param {NonNullable<Dataset["info"]>} info
 * @returns {[reason: string, count: number][]}
 */
export const unreadableReasons = ({ corrupt_reasons: reasons }) => Object.entries(reasons ?? {}).sort(([, first], [, second]) => second - first);
