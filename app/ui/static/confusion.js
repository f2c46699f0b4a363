// Confusion matrices of representation and interpretation as heat maps; each cell opens its images.

import { get } from "./api.js";
import { el, table, tableFrame } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { confusionShade, lowestFirst, mostConfused } from "./confusion_formatting.js";
import { formatCount, formatNumber, formatPercent } from "./formatting.js";

/** @import { ClassList, ClassSummary, Column, ScoreJob } from "../types.d.ts" */

const MAX_CLASSES = 20;
const MAX_CLASSES_SIDE_BY_SIDE = 10;

/**
 * Accuracy by class and both confusion matrices; average precision by label of multi-label data, which have none.
 * @param {ScoreJob} job
 */
export async function classResults(job) {
  /** @type {ClassList} */
  const list = await get(job.links.classes);
  const { data, kept, concept_count: count, confusion } = list;
  const isLabels = data[0]?.quantity === "average_precision";
  /** @type {Column<ClassSummary>[]} */
  const columns = [
    [isLabels ? "Label" : "Class", (row) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(row.class)}` }, row.class)],
    ["Test images", (row) => formatNumber(row.test_images, 0), "number"],
    ["Whole representation", (row) => formatPercent(row.accuracy.representation), "number"],
    [`${kept} of ${count} concepts`, (row) => formatPercent(row.accuracy.interpretation), "number"],
  ];
  const worst = lowestFirst(data).slice(0, MAX_CLASSES);
  const help = `The ${MAX_CLASSES} ${isLabels ? "labels" : "classes"} with the lowest values from kept concepts, of ${data.length}.`;
  return [
    confusion ? matrices(job, list, confusion) : null,
    data.length > MAX_CLASSES ? el("p", { class: "help" }, help) : null,
    table(isLabels ? "Average precision by label" : "Accuracy by class", columns, worst),
  ];
}

/**
 * @param {ScoreJob} job
 * @param {ClassList} list
 * @param {NonNullable<ClassList["confusion"]>} confusion
 */
function matrices(job, { data, kept, concept_count: count }, confusion) {
  const shown = mostConfused([confusion.representation, confusion.interpretation], MAX_CLASSES);
  const names = data.map((row) => row.class);
  const left = data.length - shown.length;
  const images = (/** @type {string} */ parameter) => (/** @type {number} */ row, /** @type {number} */ column) =>
    `/jobs/${job.id}/images?${new URLSearchParams({ class: names[row], [parameter]: names[column] })}`;
  const help = `Rows are true classes, columns predictions, shades shares of a row. A cell opens its images.${left ? ` Left out: the ${formatCount(left, "class", "classes")} with the fewest errors.` : ""}`;
  return [
    el("p", { class: "help" }, help),
    el(
      "div",
      { class: `columns wide confusions${shown.length > MAX_CLASSES_SIDE_BY_SIDE ? " stacked" : ""}` },
      matrix("Whole representation", confusion.representation, shown, names, images("predicted_by_representation")),
      matrix(`${kept} of ${count} concepts`, confusion.interpretation, shown, names, images("predicted")),
    ),
  ];
}

/**
 * @param {string} title
 * @param {number[][]} counts
 * @param {number[]} shown indices of classes
 * @param {string[]} names
 * @param {(row: number, column: number) => string} address
 */
function matrix(title, counts, shown, names, address) {
  const caption = `Confusion matrix, ${title.toLowerCase()}`;
  const heading = (/** @type {string} */ name) => el("th", { scope: "col", class: "predicted" }, el("span", { title: escapeInvisible(name) }, name));
  const headings = [el("th", { scope: "col" }, el("span", { class: "visually-hidden" }, "True class")), ...shown.map((index) => heading(names[index]))];
  const rows = shown.map((row) => {
    const images = counts[row].reduce((sum, value) => sum + value, 0);
    const cells = shown.map((column) => {
      const value = counts[row][column];
      if (!value) return el("td", {}, el("span", { class: "visually-hidden" }, "0"));
      const label = escapeInvisible(`True ${names[row]}, predicted ${names[column]}: ${formatCount(value, "image")}`);
      const { percent, strong } = confusionShade(value / images);
      const link = el("a", { href: address(row, column), "aria-label": label, title: label, class: strong ? "strong" : null }, value);
      link.style.setProperty("--shade", `${percent}%`);
      return el("td", { class: row === column ? "right" : "wrong" }, link);
    });
    return el("tr", {}, el("th", { scope: "row" }, el("span", {}, names[row])), cells);
  });
  const frame = tableFrame(caption, headings, el("tbody", {}, rows));
  frame.classList.add("confusion");
  frame.classList.toggle("long", shown.some((index) => names[index].length > 3));
  return el("div", {}, el("h3", {}, title), frame);
}
