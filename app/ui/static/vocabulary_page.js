// Page of a vocabulary: its versions, the phrases of one, the phrases that were left out with their reasons, downloads, deletion.

import { get, getAll, request } from "./api.js";
import { byId, downloadItem, downloadList, el, errorNotice, loadInto, section, table } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { formatCount, formatTime } from "./formatting.js";
import { showTools } from "./page_tools.js";

/** @import { Column, ConceptSet, ConceptSetVersion, Page, Phrase } from "../types.d.ts" */

const PAGE_PHRASES = 300; // in requests of 100
const MAX_VERSIONS = 20;
const address = `/v1/concept-sets/${location.pathname.split("/")[2]}`;

await loadInto(byId("resource"), "Loading the vocabulary …", async () => {
  /** @type {[ConceptSet, Page<ConceptSetVersion>]} */
  const [set, versions] = await Promise.all([get(address), get(`${address}/versions?limit=${MAX_VERSIONS}`)]);
  byId("resource-title").textContent = escapeInvisible(set.name);
  byId("resource-about").textContent = escapeInvisible(set.description ?? "");
  document.title = `${escapeInvisible(set.name)} · ${document.title}`;
  showTools(address);
  const number = Number(new URLSearchParams(location.search).get("version")) || set.latest_version;
  /** @type {ConceptSetVersion} */
  const shown = versions.data.find((version) => version.number === number) ?? (await get(`${address}/versions/${number}`));
  return [versionsSection(versions.data, shown), phrasesSection(shown), droppedSection(shown), set.origin === "uploaded" ? deletionSection(set) : null];
});

/**
 * @param {ConceptSetVersion[]} versions
 * @param {ConceptSetVersion} shown
 */
function versionsSection(versions, shown) {
  /** @type {Column<ConceptSetVersion>[]} */
  const columns = [
    ["Version", (one) => (one === shown ? `${one.number}, shown below` : el("a", { href: `?version=${one.number}` }, `${one.number}`))],
    ["State", (one) => one.error?.message ?? one.state],
    ["Phrases", (one) => one.phrase_count, "number"],
    ["Left out", (one) => one.dropped_count, "number"],
    ["Created", (one) => formatTime(one.created_at)],
  ];
  return section("versions", "Versions", table("Versions", columns, versions));
}

/** @param {ConceptSetVersion} version */
function phrasesSection(version) {
  if (version.state !== "ready") return null;
  const region = el("div");
  queueMicrotask(() => loadInto(region, "Loading the phrases …", () => phrases(version)));
  const file = (/** @type {string} */ format) => downloadItem(`${version.links.download}?format=${format}`, format.toUpperCase(), `phrases-${version.number}.${format}`);
  return section("phrases", `Phrases of version ${version.number}`, downloadList(file("txt"), file("json"), file("csv")), region);
}

/** @param {ConceptSetVersion} version */
async function phrases({ links, phrase_count: count }) {
  /** @type {Phrase[]} */
  const loaded = await getAll(`${links.phrases}?limit=100`, Math.min(count, PAGE_PHRASES));
  /** @type {Map<string, string[]>} */
  const groups = new Map();
  for (const { text, group } of loaded) groups.set(group ?? "", [...(groups.get(group ?? "") ?? []), text]);
  const shown = [...groups].map(([group, texts]) => [group ? el("h3", {}, group) : null, el("ul", { class: "phrase-list" }, texts.map((text) => el("li", {}, text)))]);
  return [shown, count > loaded.length ? el("p", { class: "help" }, `The first ${loaded.length} of ${formatCount(count, "phrase")}; the files have all.`) : null];
}

/** @param {ConceptSetVersion} version */
function droppedSection({ dropped, dropped_count: count }) {
  if (!dropped.length) return null;
  /** @type {Column<ConceptSetVersion["dropped"][number]>[]} */
  const columns = [["Phrase", (one) => one.text], ["Reason", (one) => one.reason.replaceAll("_", " ")], ["Because of", (one) => one.other ?? ""]];
  return section("dropped", `Left out: ${formatCount(count, "phrase")}`, table("Phrases that were left out", columns, dropped));
}

/** @param {ConceptSet} set */
function deletionSection({ name, links }) {
  const problem = el("div");
  const button = el("button", { type: "button" }, "Delete this vocabulary");
  button.addEventListener("click", async () => {
    if (!confirm(`Delete the vocabulary ${name} with all its versions? Finished jobs keep their results.`)) return;
    try {
      await request("DELETE", links.self);
      location.assign("/vocabularies");
    } catch (error) {
      problem.replaceChildren(errorNotice(error));
    }
  });
  return el("section", { "aria-label": "Deletion" }, el("p", {}, button), problem);
}
