// What a finished job used: time, device, memory and bytes, of the whole job and of each stage.

import { el, section, table } from "./dom.js";
import { capitalise, formatBytes, formatDuration, isMissing } from "./formatting.js";

/** @import { Column, Job, StageUsage } from "../types.d.ts" */

/** @typedef {[string, StageUsage & {seconds: number | null}]} StageRow */

/** @param {number | null | undefined} count */
const bytes = (count) => (isMissing(count) ? "–" : formatBytes(count));

/** @param {number | null | undefined} seconds */
const duration = (seconds) => (isMissing(seconds) ? "–" : seconds < 1 ? "under 1 second" : formatDuration(seconds));

/**
 * The section, or null for a job that no worker has taken.
 * @param {Job} job
 */
export function usageSection({ usage, stages: listed }) {
  if (!usage || isMissing(usage.run_seconds)) return null;
  const { device, stages, stage_seconds: seconds } = usage;
  const titles = new Map(listed?.map(({ stage, title, part }) => [stage, part ? stage : title]));
  /** @type {StageRow[]} */
  const rows = Object.entries(stages ?? {}).map(([stage, used]) => [
    titles.get(stage) ?? capitalise(stage.replaceAll("_", " ")),
    { ...used, seconds: seconds?.[stage] ?? null },
  ]);
  /** @type {Column<StageRow>[]} */
  const columns = [
    ["Stage", ([title]) => title],
    ["Time", ([, used]) => duration(used.seconds), "number"],
    ["Device", ([, used]) => used.device ?? "–"],
    ["Peak memory", ([, used]) => bytes(used.peak_memory_bytes), "number"],
    ["GPU memory", ([, used]) => bytes(used.gpu_peak_memory_bytes), "number"],
    ["Fetched", ([, used]) => bytes(used.fetched_bytes), "number"],
    ["Stored", ([, used]) => bytes(used.stored_bytes), "number"],
  ];
  const whole = [
    `${duration(usage.queue_seconds)} in the queue, ${duration(usage.run_seconds)} running`,
    device ? `on ${device === "cpu" ? "the CPU" : device}` : null,
    isMissing(usage.peak_memory_bytes) ? null : `peak memory ${bytes(usage.peak_memory_bytes)}`,
    isMissing(usage.gpu_peak_memory_bytes) ? null : `of the GPU ${bytes(usage.gpu_peak_memory_bytes)}`,
    isMissing(usage.fetched_bytes) ? null : `${bytes(usage.fetched_bytes)} fetched from storage, ${bytes(usage.stored_bytes)} stored`,
  ];
  const sentence = `${whole.filter((part) => part !== null).join(", ")}.`;
  return section("usage", "Usage", el("p", {}, sentence), rows.length ? table("Usage by stage", columns, rows) : null);
}
