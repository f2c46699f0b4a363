// Configuration of a score: every setting with the digests of weights and data, the form to run it again, and the request as code.

import { configurationRows } from "./configuration_formatting.js";
import { copyButton } from "./copy_button.js";
import { el, section, table } from "./dom.js";
import { jobRequest } from "./job_request.js";
import { commandSnippet, curlSnippet, pythonSnippet } from "./request_snippets.js";
import { isShared } from "./share_access.js";

/** @import { Column, Report, ScoreJob } from "../types.d.ts" */

/**
 * @param {ScoreJob} job
 * @param {Report} report
 * @param {string | null} library
 */
export function configurationSection(job, report, library) {
  /** @type {Column<[string, string]>[]} */
  const columns = [["Setting", ([name]) => name], ["Value", ([, value]) => el("span", { class: "setting-value" }, value)]];
  return section(
    "configuration",
    "Configuration",
    isShared() ? null : el("p", { class: "actions" }, el("a", { class: "button primary", href: `/submit?job=${job.id}` }, "Run again with changes"), copyButtons(job, report, library)),
    table("Settings of the score", columns, configurationRows(report)),
  );
}

/**
 * @param {ScoreJob} job
 * @param {Report} report
 * @param {string | null} library
 */
function copyButtons(job, report, library) {
  const request = jobRequest(job, library);
  const { model, dataset } = report.configuration ?? {};
  const snippets = [
    ["curl", curlSnippet(location.origin, request)],
    ["Python", pythonSnippet(location.origin, request)],
    ["CLI", commandSnippet(request, model, dataset?.content_sha256)],
  ];
  return snippets.map(([name, text]) => (text === null ? null : copyButton(`Copy as ${name}`, text)));
}
