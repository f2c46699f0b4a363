// Form of a resource's name, tags and notes.

import { request } from "./api.js";
import { announce, el, errorNotice } from "./dom.js";

/** @import { Links } from "../types.d.ts" */

/**
 * @param {string} noun
 * @param {{name: string | null, tags: string[], notes: string | null, links: Links}} item a name that is null may stay so
 * @param {(name: string | null) => void} onSave
 */
export function descriptionForm(noun, item, onSave) {
  const problem = el("div");
  const name = el("input", { id: "name", value: item.name ?? "", required: item.name !== null, maxlength: 200 });
  const tags = el("input", { id: "tags", value: item.tags.join(", ") });
  const notes = el("textarea", { id: "notes", rows: 2, maxlength: 10_000 }, item.notes);
  const form = el(
    "form",
    { class: "description-form" },
    el("label", {}, "Name ", name),
    el("label", {}, "Tags, with commas between ", tags),
    el("label", {}, "Notes ", notes),
    el("p", { class: "actions" }, el("button", {}, "Save")),
    problem,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = tags.value.split(",").map((tag) => tag.trim()).filter(Boolean);
    const changes = { name: name.value || null, tags: given, notes: notes.value || null };
    problem.replaceChildren();
    try {
      await request("PATCH", item.links.self, { json: changes });
      onSave(changes.name);
      announce(`The ${noun} was saved.`);
      problem.replaceChildren(el("p", { class: "help" }, "Saved."));
    } catch (error) {
      problem.replaceChildren(errorNotice(error));
    }
  });
  return el("details", {}, el("summary", {}, "Name, tags and notes"), form);
}
