// Page of a concept library: name, tags and notes to edit, settings, its job and model, its concepts, downloads, deletion.

import { get, request } from "./api.js";
import { rowsOf } from "./configuration_formatting.js";
import { descriptionForm } from "./description_form.js";
import { byId, downloadItem, downloadList, el, errorNotice, loadInto, section, table } from "./dom.js";
import { droppedPhrases } from "./dropped_phrases.js";
import { escapeInvisible } from "./escaping.js";
import { describeLibrary } from "./job_formatting.js";
import { deletionQuestion } from "./library_deletion.js";
import { showTools } from "./page_tools.js";

/** @import { Column, ConceptLibrary } from "../types.d.ts" */

await loadInto(byId("resource"), "Loading the concept library …", async () => {
  /** @type {ConceptLibrary} */
  const library = await get(`/v1/concept-libraries/${location.pathname.split("/")[2]}`);
  const title = (/** @type {string | null} */ name) => escapeInvisible(name ?? describeLibrary(library.settings));
  byId("resource-title").textContent = title(library.name);
  document.title = `${title(library.name)} · ${document.title}`;
  showTools(library.links.self);
  const hasPhrases = library.kind === "text" || library.settings.parts?.some(({ kind }) => kind === "text");
  return [
    descriptionForm("concept library", library, (name) => {
      library.name = name;
      byId("resource-title").textContent = title(name);
    }),
    settingsSection(library),
    hasPhrases ? droppedPhrases(library.id) : null,
    downloadsSection(library),
    deletionSection(library),
  ];
});

/** @param {ConceptLibrary} library */
function settingsSection({ id, kind, settings, concept_count: count, dimension, job, model, dataset }) {
  const { kind: _, concept_count: __, ...others } = settings;
  const rows = rowsOf("", { id, kind, concept_count: count, dimension, ...others });
  /** @type {Column<[string, string]>[]} */
  const columns = [["Setting", ([name]) => name], ["Value", ([, value]) => el("span", { class: "setting-value" }, value)]];
  const links = [
    el("a", { class: "button primary", href: `/jobs/${job}/concepts` }, "See its concepts"),
    el("a", { class: "button", href: `/jobs/${job}` }, "Its job"),
    model ? el("a", { class: "button", href: `/models/${model}` }, "Its model") : null,
    el("a", { class: "button", href: `/datasets/${dataset}` }, "Its data set"),
  ];
  return section("settings", "Settings", el("p", { class: "actions" }, links), table("Settings of the library", columns, rows));
}

/** @param {ConceptLibrary} library */
function downloadsSection({ id, links }) {
  return section(
    "downloads",
    "Downloads",
    downloadList(downloadItem(links.download, "Vectors, safetensors", `${id}.safetensors`), downloadItem(links.exemplars, "Crops that show the concepts, ZIP", `${id}-exemplars.zip`)),
  );
}

/** @param {ConceptLibrary} library */
function deletionSection(library) {
  const problem = el("div");
  const button = el("button", { type: "button" }, "Delete this concept library");
  button.addEventListener("click", async () => {
    problem.replaceChildren();
    if (!confirm(deletionQuestion(library))) return;
    try {
      await request("DELETE", library.links.self);
      location.assign("/libraries");
    } catch (error) {
      problem.replaceChildren(errorNotice(error));
    }
  });
  const help = el("p", { class: "help" }, "A concept library is deleted with the job that fitted it, too.");
  return el("section", { "aria-label": "Deletion" }, el("p", {}, button), help, problem);
}
