// Numbers of confusion matrices: which classes to show, and the shade of a cell.

import { compareValues } from "./sortable_table.js";

/** @import { ClassSummary } from "../types.d.ts" */

/**
 * Classes by the accuracy from kept concepts, lowest first; those without a test image are last.
 * @param {ClassSummary[]} classes
 */
export const lowestFirst = (classes) =>
  classes.toSorted((first, second) => compareValues(first.accuracy.interpretation, second.accuracy.interpretation, false));

/**
 * Indices of the classes in most errors, as true or predicted class, in the order of the classes.
 * @param {number[][][]} matrices rows are true classes
 * @param {number} limit
 * @returns {number[]}
 */
export function mostConfused(matrices, limit) {
  const errors = matrices[0].map((_, index) =>
    matrices.reduce((sum, matrix) => sum + matrix.reduce((all, row, place) => all + (place === index ? 0 : row[index] + matrix[index][place]), 0), 0),
  );
  const order = errors.map((_, index) => index).toSorted((first, second) => errors[second] - errors[first] || first - second);
  return order.slice(0, limit).toSorted((first, second) => first - second);
}

/**
 * Shade in percent of full colour for a share of a row. Shades between 45 and 80 are left out: no text colour has enough contrast on them.
 * @param {number} share
 * @returns {{percent: number, strong: boolean}} strong: the text takes the colour for dark cells
 */
export function confusionShade(share) {
  if (share < 0.5) return { percent: Math.round(45 * Math.sqrt(share / 0.5)), strong: false };
  return { percent: Math.round(80 + 40 * (share - 0.5)), strong: true };
}
