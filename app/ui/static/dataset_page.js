// Page of a data set: classes with their images in each split, unreadable files by reason, warnings, notes, its scores.

import { classCounts, describeContent, unreadableReasons } from "./dataset_formatting.js";
import { el, section, table } from "./dom.js";
import { formatCount, formatInteger } from "./formatting.js";
import { notesNotice } from "./notes.js";
import { showResource } from "./resource_page.js";
import { sortableTable } from "./sortable_table.js";
import { warningsNotice } from "./warnings.js";

/** @import { Column, Dataset, SortableColumn } from "../types.d.ts" */

/** @type {SortableColumn<{name: string, train: number, test: number}>[]} */
const CLASS_COLUMNS = [
  { heading: "Class", value: ({ name }) => name, cell: ({ name }) => name },
  { heading: "Training", value: ({ train }) => train, cell: ({ train }) => formatInteger(train), kind: "number" },
  { heading: "Test", value: ({ test }) => test, cell: ({ test }) => formatInteger(test), kind: "number" },
];
/** @type {Column<[string, number]>[]} */
const REASON_COLUMNS = [["Reason", ([reason]) => reason], ["Files", ([, count]) => formatInteger(count), "number"]];

/** @param {Dataset} dataset */
function sections(dataset) {
  const { info, digest } = dataset;
  if (!info) return null;
  const split = `Test share ${dataset.test_share} and split seed ${dataset.split_seed}, where the data give no split.`;
  return [
    warningsNotice(info.warnings),
    notesNotice(info.notes),
    section(
      "classes",
      "Classes",
      el("p", {}, describeContent(dataset), "."),
      el("p", { class: "help" }, split, digest ? [" Digest ", el("code", {}, digest), "."] : null),
      sortableTable("Classes and their images", CLASS_COLUMNS, classCounts(info)),
    ),
    unreadable(info),
  ];
}

/** @param {NonNullable<Dataset["info"]>} info */
function unreadable(info) {
  const { corrupt_count: count, corrupt, ignored_count: ignored } = info;
  if (!count && !ignored) return null;
  const reasons = unreadableReasons(info);
  return section(
    "unreadable",
    "Unreadable and ignored files",
    el("p", {}, `${formatCount(count ?? 0, "image")} could not be read; ${formatCount(ignored ?? 0, "other file")} ignored.`),
    reasons.length ? table("Unreadable files by reason", REASON_COLUMNS, reasons) : null,
    corrupt?.length ? el("details", {}, el("summary", {}, "The first unreadable files"), el("ul", {}, corrupt.map((name) => el("li", {}, name)))) : null,
  );
}

await showResource({ noun: "data set", path: "/datasets", parameter: "dataset", sections });
