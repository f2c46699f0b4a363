// Phrases that a text library dropped, with the reasons; loaded when their section is opened.

import { get } from "./api.js";
import { el, loadInto, table } from "./dom.js";
import { formatStatistic, statisticName } from "./concept_statistics.js";

/** @import { Column, DroppedPhrase, Page } from "../types.d.ts" */

/** @type {Record<string, string>} */
const DROP_REASONS = {
  too_long: "too long",
  class_name: "names a class",
  repeated: "duplicate",
  near_class: "similar to a class name",
  near_phrase: "similar to another phrase",
  clip_cutoff: "not found in the images (below clip_cutoff)",
  interpretability_cutoff: "not represented by the model (below interpretability_cutoff)",
  not_confirmed: "not confirmed on other images (below interpretability_cutoff there)",
  beyond_count: "more than the requested number of concepts",
};

/** @param {string} library */
export function droppedPhrases(library) {
  const region = el("div");
  /** @type {string | null} */
  let address = `/v1/concept-libraries/${library}/dropped?limit=50`;
  /** @type {DroppedPhrase[]} */
  const rows = [];
  const loadPage = async () => {
    if (address) {
      /** @type {Page<DroppedPhrase>} */
      const page = await get(address);
      rows.push(...page.data);
      address = page.links.next ?? null;
    }
    if (!rows.length) return el("p", { class: "help" }, "None.");
    const loadMore = () => loadInto(region, "Loading more phrases …", loadPage);
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.details)))];
    /** @type {Column<DroppedPhrase>[]} */
    const columns = [
      ["Phrase", (row) => row.text],
      ["Reason", (row) => DROP_REASONS[row.reason] ?? row.reason.replaceAll("_", " ")],
      .../** @type {Column<DroppedPhrase>[]} */ (names.map((name) => [statisticName(name), (row) => formatStatistic(row.details[name]), "number"])),
    ];
    return [table("Dropped phrases", columns, rows), address ? el("button", { type: "button", onclick: loadMore }, "Load more phrases") : null];
  };
  const details = el("details", {}, el("summary", {}, "Dropped phrases"), region);
  details.addEventListener("toggle", () => loadInto(region, "Loading the dropped phrases …", loadPage), { once: true });
  return details;
}
