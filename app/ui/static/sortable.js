// A table whose columns sort at a click or with the keyboard, and that shows the first rows until more are wanted.

import { el, say } from "./dom.js";
import { counted, missing } from "./words.js";

const FIRST_ROWS = 200;

// What the reader made of a table: by which column it is sorted, and how many rows are shown. A later table of the same takes it over.
export const asItCame = () => ({ by: null, down: false, shown: FIRST_ROWS });

// columns: {heading, cell(row), value(row), kind: "number"?}; rows come in their own order.
export function sortable(caption, columns, rows, view = asItCame()) {
  const body = el("tbody");
  const more = el("p", { class: "more" });
  const heads = columns.map((column) => head(column, () => sort(column)));

  function sort(column) {
    view.down = view.by === column.heading ? !view.down : column.kind === "number"; // a number's most is what one looks for first
    view.by = column.heading;
    say(`Sorted by ${column.heading}, ${view.down ? "most first" : "least first"}.`);
    show();
  }

  function show() {
    const by = columns.find((column) => column.heading === view.by);
    for (const [index, { th, mark }] of heads.entries()) {
      const mine = columns[index] === by;
      th.setAttribute("aria-sort", mine ? (view.down ? "descending" : "ascending") : "none");
      mark.textContent = mine ? (view.down ? "↓" : "↑") : "";
    }
    const order = by ? rows.toSorted((one, other) => compare(by.value(one), by.value(other), view.down)) : rows;
    body.replaceChildren(...order.slice(0, view.shown).map((row) => el("tr", {}, columns.map((column, index) => el(index ? "td" : "th", { class: column.kind, scope: index ? null : "row" }, column.cell(row))))));
    const left = order.length - view.shown;
    more.replaceChildren(...(left > 0 ? [el("button", { type: "button", onclick: () => ((view.shown += 1000), show()) }, `Show ${counted(Math.min(left, 1000), "more row", "more rows")}`)] : []));
  }

  show();
  const whole = el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, heads.map(({ th }) => th))), body);
  return [el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption }, whole), more];
}

function head(column, onclick) {
  const mark = el("span", { class: "sort-mark", "aria-hidden": "true" });
  const th = el("th", { scope: "col", class: column.kind, "aria-sort": "none" }, el("button", { type: "button", class: "sort", onclick }, column.heading, mark));
  return { th, mark };
}

// What is missing stands last, whichever way the rest goes.
function compare(one, other, down) {
  if (missing(one) || missing(other)) return Number(missing(one)) - Number(missing(other));
  const order = typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : Number(one) - Number(other);
  return down ? -order : order;
}
