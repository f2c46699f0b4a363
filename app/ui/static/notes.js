// Notes of a score: what was assumed, chosen, converted or left out while its model and data set were read.

import { el } from "./dom.js";

/** @param {string[] | null | undefined} notes */
export function notesNotice(notes) {
  if (!notes?.length) return null;
  const heading = el("h2", { id: "notes" }, notes.length === 1 ? "Note" : "Notes");
  return el("section", { class: "notice", "aria-labelledby": "notes" }, heading, el("ul", {}, notes.map((text) => el("li", {}, text))));
}
