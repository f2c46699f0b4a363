// Page of a job's classes: accuracy from the whole representation and from the kept concepts.

import { byId, el, loadInto, table } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatPercent } from "./formatting.js";
import { loadJob, unfinishedNotice } from "./job_heading.js";

/** @import { ClassList } from "../types.d.ts" */

await loadInto(byId("classes"), "Loading the classes …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  /** @type {ClassList} */
  const { data } = await getFromWorker(`/v1/jobs/${job.id}/classes`);
  const isLabels = data[0]?.quantity === "average_precision";
  return table(
    isLabels ? "Average precision by label" : "Accuracy by class",
    [
      [isLabels ? "Label" : "Class", (row) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(row.class)}` }, row.class)],
      ["Test images", (row) => row.test_images, "number"],
      ["Whole representation", (row) => formatPercent(row.accuracy.representation), "number"],
      ["Kept concepts", (row) => formatPercent(row.accuracy.interpretation), "number"],
    ],
    data,
  );
});
