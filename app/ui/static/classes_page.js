// The classes of a job: how well each is told, from the whole representation and from the kept concepts.

import { byId, el, fill, table } from "./dom.js";
import { read } from "./explanations.js";
import { notYet, readJob } from "./job_heading.js";
import { share } from "./words.js";

await fill(byId("classes"), "Reading the classes …", async () => {
  const { job } = await readJob();
  const waiting = notYet(job);
  if (waiting) return waiting;
  const { data } = await read(`/v1/jobs/${job.id}/classes`);
  return table(
    "Accuracy by class",
    [
      ["Class", (row) => el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(row.class)}` }, row.class)],
      ["Test images", (row) => row.test_images, "number"],
      ["Whole representation", (row) => share(row.accuracy.representation), "number"],
      ["Kept concepts", (row) => share(row.accuracy.interpretation), "number"],
    ],
    data,
  );
});
