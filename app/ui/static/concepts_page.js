// Page of a job's concepts: exemplars, labels and statistics of each concept; the dropped phrases.

import { get } from "./api.js";
import { conceptName } from "./concept_names.js";
import { crops } from "./crops.js";
import { buttonById, byId, el, emptyState, errorNotice, loadInto, table } from "./dom.js";
import { formatCount, formatNumber, isMissing } from "./formatting.js";
import { loadJob, unfinishedNotice } from "./job_heading.js";

/** @import { Column, ConceptNames, DroppedPhrase, Job, LibraryConcept, Page, ScoreResult, Statistic } from "../types.d.ts" */

const PAGE_CONCEPTS = 24;

/** @type {Record<string, string>} */
const STATISTICS = {
  similarity: "held-out similarity",
  chosen_similarity: "similarity when chosen",
  clip_top5: "mean of top 5 cosines",
  cosine: "cosine",
  group: "group",
  other: "similar to",
};

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

const gallery = byId("gallery");
const more = buttonById("more");
/** @type {string | null} */
let next = null;

await loadInto(gallery, "Loading the concepts …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  /** @type {ScoreResult} */
  const { library } = await get(job.links.result);
  if (!library) return emptyState("No concept library", "This job stored no concept library.");
  /** @type {Page<LibraryConcept>} */
  const page = await get(`/v1/concept-libraries/${library}/concepts?limit=${PAGE_CONCEPTS}`);
  /** @type {{concept_count: number}} */
  const view = await get(`/v1/concept-libraries/${library}`);
  const grid = el("ol", { class: "gallery" });
  appendPage(page, grid, library, job);
  more.addEventListener("click", () => showMore(grid, library, job));
  showDropped(library);
  return [el("h2", {}, formatCount(view.concept_count, "concept")), grid];
});

/**
 * @param {Page<LibraryConcept>} page
 * @param {HTMLElement} grid
 * @param {string} library
 * @param {Job} job
 */
function appendPage(page, grid, library, job) {
  const cards = page.data.map((concept) => card(concept, library, job));
  grid.append(...cards);
  next = page.links.next ?? null;
  more.hidden = next === null;
  return cards;
}

/**
 * @param {HTMLElement} grid
 * @param {string} library
 * @param {Job} job
 */
async function showMore(grid, library, job) {
  if (next === null) return;
  more.disabled = true;
  try {
    const [first] = appendPage(await get(next), grid, library, job);
    first?.querySelector("a")?.focus();
  } catch (error) {
    gallery.append(errorNotice(error));
  } finally {
    more.disabled = false;
  }
}

/**
 * @param {LibraryConcept} concept
 * @param {string} library
 * @param {Job} job
 */
function card(concept, library, job) {
  const link = el("a", { href: `/jobs/${job.id}/concepts/${concept.index}` }, conceptName(concept));
  const combined = job.kind !== "explain" && job.library.parts?.length;
  const about = [concept.label ? `No. ${concept.index}` : "", combined ? concept.origin : ""].filter(Boolean).join(", ");
  return el(
    "li",
    { class: "card" },
    el("h3", { class: concept.label ? "" : "unnamed" }, link),
    about ? el("p", { class: "help" }, about) : null,
    crops(concept.exemplars, library),
    details(concept),
  );
}

/** @param {LibraryConcept} concept */
function details({ details: values }) {
  if (!values) return null;
  if (hasNames(values)) return nearestPhrases(values);
  const entries = Object.entries(values).filter(([, value]) => !isMissing(value));
  const items = entries.map(([name, value]) => el("div", {}, el("dt", {}, statisticName(name)), el("dd", {}, formatStatistic(value))));
  return el("dl", { class: "statistics" }, items);
}

/**
 * @param {NonNullable<LibraryConcept["details"]>} details
 * @returns {details is ConceptNames}
 */
function hasNames(details) {
  return Array.isArray(details.names);
}

/** @param {ConceptNames} details */
function nearestPhrases({ names, margin, named }) {
  const heading = named ? `Nearest phrases (margin ${formatNumber(margin, 2)})` : "Unnamed; nearest phrases";
  const items = names.map(({ phrase, score, cosine }) => {
    const values = el("span", { class: "help" }, `score ${formatNumber(score, 2)}, cosine ${formatNumber(cosine, 2)}`);
    return el("li", {}, phrase, " ", values);
  });
  return el("details", {}, el("summary", {}, heading), el("ol", { class: "phrases" }, items));
}

/** @param {string} library */
async function showDropped(library) {
  const region = byId("dropped");
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
    if (!rows.length) return [];
    const loadMore = () => loadInto(region, "Loading more phrases …", loadPage);
    const names = [...new Set(rows.flatMap((row) => Object.keys(row.details)))];
    /** @type {Column<DroppedPhrase>[]} */
    const columns = [
      ["Phrase", (row) => row.text],
      ["Reason", (row) => DROP_REASONS[row.reason] ?? row.reason.replaceAll("_", " ")],
      .../** @type {Column<DroppedPhrase>[]} */ (names.map((name) => [statisticName(name), (row) => formatStatistic(row.details[name]), "number"])),
    ];
    const button = address ? el("button", { type: "button", onclick: loadMore }, "Load more phrases") : null;
    return [el("h2", {}, "Dropped phrases"), table("Dropped phrases", columns, rows), button];
  };
  await loadInto(region, "Loading the dropped phrases …", loadPage);
}

/** @param {string} name */
function statisticName(name) {
  return STATISTICS[name] ?? name.replaceAll("_", " ");
}

/** @param {Statistic | undefined} value */
function formatStatistic(value) {
  if (isMissing(value)) return "";
  return typeof value === "number" ? formatNumber(value) : value;
}
