// Result of a job that explains many images: summary and downloads.

import { get } from "./api.js";
import { downloadItem, downloadList, el, section, table } from "./dom.js";
import { formatCount, formatNumber, formatPercent } from "./formatting.js";

/** @import { Column, ExplainJob, ExplainResult } from "../types.d.ts" */

/** @param {ExplainJob} job */
export async function explainResult(job) {
  /** @type {ExplainResult} */
  const { summary, kept } = await get(job.links.result);
  const values = [
    ["Explained images", formatCount(summary.count - summary.failed, "image")],
    ["Unreadable images", formatNumber(summary.failed, 0)],
    ["Concepts kept", formatNumber(kept, 0)],
    ["Agreement of representation and kept concepts", formatPercent(summary.agreement)],
    ["Accuracy of the representation", formatPercent(summary.accuracy_representation)],
    ["Accuracy of the kept concepts", formatPercent(summary.accuracy_interpretation)],
  ];
  /** @type {Column<string[]>[]} */
  const columns = [["", ([name]) => name], ["Value", ([, value]) => value, "number"]];
  const rows = values.filter(([, value]) => value !== "–");
  /**
   * @param {string} suffix
   * @param {string} text
   */
  const file = (suffix, text) => downloadItem(job.links[`rows.${suffix}`], text, `${job.id}.${suffix}`);
  return [
    section("summary", "Summary", table("Summary", columns, rows)),
    section("downloads", "Downloads", downloadList(file("jsonl", "All explanations, JSON Lines"), file("parquet", "All explanations, Parquet"))),
    el("p", {}, el("a", { href: `/jobs/${job.job}` }, "Go to the explained score")),
  ];
}
