// Notice with the warnings of a result.

import { el } from "./dom.js";

/** @param {string[] | null | undefined} warnings */
export function warningsNotice(warnings) {
  if (!warnings?.length) return null;
  const heading = el("h2", { id: "warnings" }, warnings.length === 1 ? "Warning" : "Warnings");
  return el("section", { class: "notice warning", "aria-labelledby": "warnings" }, heading, el("ul", {}, warnings.map((text) => el("li", {}, text))));
}
