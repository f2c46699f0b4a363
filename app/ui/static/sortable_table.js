// Table that sorts by a column and shows its first rows until more are requested.

import { announce, el, tableFrame, tableRow } from "./dom.js";
import { formatCount, isMissing } from "./formatting.js";

/** @import { SortableColumn, TableView } from "../types.d.ts" */

const FIRST_ROWS = 200;
const MORE_ROWS = 1000;

/** @returns {TableView} */
export const defaultView = () => ({ sortedBy: null, descending: false, visibleRows: FIRST_ROWS });

/**
 * @template Row
 * @param {string} caption
 * @param {SortableColumn<Row>[]} columns
 * @param {readonly Row[]} rows
 * @param {TableView} [view] changed by the user; can be passed on to a later table of the same columns
 * @returns {HTMLElement[]}
 */
export function sortableTable(caption, columns, rows, view = defaultView()) {
  const body = el("tbody");
  const more = el("p", { class: "more" });
  const headings = columns.map((column) => columnHeading(column, () => sort(column)));
  const classes = columns.map((column) => column.kind);

  /** @param {SortableColumn<Row>} column */
  function sort(column) {
    view.descending = view.sortedBy === column.heading ? !view.descending : column.kind === "number"; // numbers: largest first
    view.sortedBy = column.heading;
    announce(`Sorted by ${column.heading}, ${view.descending ? "descending" : "ascending"}.`);
    show();
  }

  function showMore() {
    view.visibleRows += MORE_ROWS;
    show();
  }

  function show() {
    const sorted = columns.find((column) => column.heading === view.sortedBy);
    for (const [index, { cell, mark }] of headings.entries()) {
      const current = columns[index] === sorted;
      cell.setAttribute("aria-sort", current ? (view.descending ? "descending" : "ascending") : "none");
      mark.textContent = current ? (view.descending ? "↓" : "↑") : "";
    }
    const order = sorted ? rows.toSorted((first, second) => compareValues(sorted.value(first), sorted.value(second), view.descending)) : rows;
    const visible = order.slice(0, view.visibleRows);
    body.replaceChildren(...visible.map((row) => tableRow(columns.map((column) => column.cell(row)), classes)));
    const hidden = order.length - view.visibleRows;
    const label = `Show ${formatCount(Math.min(hidden, MORE_ROWS), "more row", "more rows")}`;
    more.replaceChildren(...(hidden > 0 ? [el("button", { type: "button", onclick: showMore }, label)] : []));
  }

  show();
  return [tableFrame(caption, headings.map(({ cell }) => cell), body), more];
}

/**
 * @template Row
 * @param {SortableColumn<Row>} column
 * @param {() => void} onclick
 */
function columnHeading({ heading, kind }, onclick) {
  const mark = el("span", { class: "sort-mark", "aria-hidden": "true" });
  const button = el("button", { type: "button", class: "sort", onclick }, heading, mark);
  return { cell: el("th", { scope: "col", class: kind, "aria-sort": "none" }, button), mark };
}

/**
 * Order of two values for Array.sort; missing values are last in both directions.
 * @param {string | number | null | undefined} first
 * @param {string | number | null | undefined} second
 * @param {boolean} descending
 * @returns {number}
 */
export function compareValues(first, second, descending) {
  if (isMissing(first) || isMissing(second)) return Number(isMissing(first)) - Number(isMissing(second));
  const order = typeof first === "string" ? first.localeCompare(String(second), "en", { numeric: true }) : first - Number(second);
  return descending ? -order : order;
}
