// Actions on the chosen rows of the job list: compare, cancel, delete.

import { post, request } from "./api.js";
import { announce, buttonById, byId, errorNotice } from "./dom.js";
import { PageError, asPageError } from "./errors.js";
import { formatCount } from "./formatting.js";
import { isFinished } from "./job_formatting.js";

/** @import { JobRow } from "./job_row.js" */

const MAX_COMPARED = 12;
const MAX_NAMED = 5;
const bar = byId("selection");
const compareLink = byId("compare-selected");
const cancelButton = buttonById("cancel-selected");
const deleteButton = buttonById("delete-selected");

/** @param {JobRow[]} rows */
const comparable = (rows) => rows.filter(({ job }) => job.kind === "score" && job.state === "succeeded");

/** @param {JobRow[]} rows */
const cancelable = (rows) => rows.filter(({ job }) => ["queued", "running"].includes(job.state));

/** @param {JobRow[]} rows */
const deletable = (rows) => rows.filter(({ job }) => isFinished(job.state));

/**
 * Show the actions that apply to the chosen rows; hide the bar where none is chosen.
 * @param {JobRow[]} rows the chosen ones
 */
export function showSelection(rows) {
  bar.hidden = !rows.length;
  if (bar.hidden) return;
  byId("selected-count").textContent = `${formatCount(rows.length, "job")} chosen`;
  const compared = comparable(rows);
  compareLink.hidden = compared.length < 2 || compared.length > MAX_COMPARED;
  compareLink.setAttribute("href", `/compare?${compared.map(({ job }) => `job=${job.id}`).join("&")}`);
  compareLink.textContent = `Compare ${compared.length}`;
  cancelButton.hidden = !cancelable(rows).length;
  cancelButton.textContent = `Cancel ${cancelable(rows).length}`;
  deleteButton.hidden = !deletable(rows).length;
  deleteButton.textContent = `Delete ${deletable(rows).length}`;
}

/**
 * The question before jobs are deleted.
 * @param {string[]} names
 */
export function deletionQuestion(names) {
  const more = names.length > MAX_NAMED ? `\n… and ${names.length - MAX_NAMED} more` : "";
  return (
    `Delete ${formatCount(names.length, "job")}?\n\n${names.slice(0, MAX_NAMED).join("\n")}${more}\n\n` +
    "Results, concept libraries, explanations, figures and events are lost and cannot be restored. " +
    "Models and data sets stay, also models that fine-tuning trained."
  );
}

/**
 * Do one thing to each row; show what was refused, and why.
 * @param {JobRow[]} rows
 * @param {string} done past participle
 * @param {(row: JobRow) => Promise<unknown>} act
 */
async function actOnEach(rows, done, act) {
  const problems = byId("selection-problems");
  problems.replaceChildren();
  /** @type {string[]} */
  const refused = [];
  for (const row of rows) {
    try {
      await act(row);
    } catch (error) {
      refused.push(asPageError(error).message);
    }
  }
  if (refused.length) problems.replaceChildren(errorNotice(new PageError([...new Set(refused)].join(" "))));
  announce(`${formatCount(rows.length - refused.length, "job")} ${done}.`);
}

/**
 * @param {() => JobRow[]} selectedRows
 * @param {(row: JobRow) => void} onDeleted
 */
export function installSelection(selectedRows, onDeleted) {
  cancelButton.addEventListener("click", () =>
    actOnEach(cancelable(selectedRows()), "canceled", async (row) => row.show(await post(row.job.links.cancel))),
  );
  deleteButton.addEventListener("click", async () => {
    const rows = deletable(selectedRows());
    if (!confirm(deletionQuestion(rows.map((row) => row.description)))) return;
    await actOnEach(rows, "deleted", async (row) => {
      await request("DELETE", row.job.links.self);
      onDeleted(row);
    });
  });
}
