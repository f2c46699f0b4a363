// Page of a job's concepts: cards that are sorted, searched and folded in the browser; the dropped phrases.

import { get } from "./api.js";
import { conceptCard, hasNames } from "./concept_card.js";
import { SORTS, groupConcepts } from "./concept_list.js";
import { droppedPhrases } from "./dropped_phrases.js";
import { announce, buttonById, byId, el, emptyState, errorNotice, inputById, loadInto, selectById } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatCount, formatInteger } from "./formatting.js";
import { loadJob, unfinishedNotice } from "./job_heading.js";

/** @import { ConceptMetric, ConceptUse, Job, LibraryConcept, ListedConcept, Page, ScoreJob, ScoreResult } from "../types.d.ts" */
/** @import { SortKey } from "./concept_list.js" */

const REQUESTED = 100; // the most concepts of one answer
const LOADED_AT_FIRST = 200;
const SHOWN_AT_ONCE = 24;
const MAX_PAGES_AT_ONCE = 10; // of one click, where few concepts match the search

const gallery = byId("gallery");
const more = buttonById("more");
const tools = byId("concept-tools");
/** @type {ListedConcept[]} */
const concepts = [];
/** @type {Map<number, ConceptMetric>} */
let metrics = new Map();
let shown = SHOWN_AT_ONCE;
/** @type {Job} */
let job;
/** @type {string | null} */
let library = null;
/** @type {string | null} */
let nextUses = null;
/** @type {string | null} */
let nextConcepts = null;
/** @type {number} */
let count = 0;

await loadInto(gallery, "Loading the concepts …", async () => {
  job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  if (job.kind !== "score") return emptyState("No concepts", "Only score jobs have concepts.");
  await loadFirst(job);
  if (!library) return emptyState("No concept library", "This job stored no concept library.");
  readAddress();
  tools.hidden = false;
  if (job.library.kind === "text" || job.library.parts?.some(({ kind }) => kind === "text")) byId("dropped").replaceChildren(droppedPhrases(library));
  return cards();
});

/**
 * Metrics, uses and library entries of the first concepts.
 * @param {ScoreJob} scored
 */
async function loadFirst(scored) {
  if (scored.protocol === "exact") nextUses = `${scored.links.concepts}?limit=${REQUESTED}`;
  /** @type {Promise<{data: ConceptMetric[]}>} */
  const metricsRequest = get(`${scored.links.self}/concept-metrics`);
  /** @type {Promise<ScoreResult>} */
  const resultRequest = get(scored.links.result);
  const [found, result] = await Promise.all([metricsRequest, resultRequest]);
  metrics = new Map(found.data.map((metric) => [metric.concept, metric]));
  library = result.library;
  count = result.report.library?.concept_count ?? metrics.size;
  if (library) nextConcepts = `/v1/concept-libraries/${library}/concepts?limit=${REQUESTED}`;
  while (nextConcepts && concepts.length < LOADED_AT_FIRST) await loadPage();
}

/** One page of the library, and of the uses of its concepts. */
async function loadPage() {
  /** @type {Promise<Page<LibraryConcept>>} */
  const entries = get(nextConcepts ?? "");
  /** @type {Promise<Page<ConceptUse> | null>} */
  const uses = nextUses ? getFromWorker(nextUses) : Promise.resolve(null);
  const [page, used] = await Promise.all([entries, uses]);
  const byIndex = new Map(used?.data.map((use) => [use.concept, use]));
  concepts.push(...page.data.map((concept) => listed(concept, byIndex.get(concept.index))));
  nextConcepts = page.links.next ?? null;
  nextUses = used?.links.next ?? null;
  if (!nextConcepts) count = concepts.length;
}

/**
 * @param {LibraryConcept} concept
 * @param {ConceptUse | undefined} use
 * @returns {ListedConcept}
 */
function listed(concept, use) {
  const metric = metrics.get(concept.index);
  return {
    ...concept,
    importance: use?.importance ?? null,
    firing_rate: use?.firing_rate ?? metric?.firing_rate ?? null,
    never_fires: use?.never_fires ?? false,
    duplicates: use?.duplicates?.map((other) => other.concept) ?? [],
    class_purity: metric?.class_purity ?? null,
    mono_score: metric?.mono_score ?? null,
    top_class: metric?.top_class ?? null,
    phrases: concept.details && hasNames(concept.details) ? concept.details.names.map(({ phrase }) => phrase) : [],
  };
}

/** The loaded concepts that match the form, in groups of one card each. */
function matching() {
  return groupConcepts(concepts, /** @type {SortKey} */ (selectById("sort").value), inputById("search").value, inputById("fold").checked);
}

/** Cards of the concepts that match, in the chosen order. */
function cards() {
  const { found, groups } = matching();
  const mostImportant = Math.max(0, ...concepts.map(({ importance }) => importance ?? 0));
  more.hidden = groups.length <= shown && !nextConcepts;
  const folded = found.length - groups.length;
  const summary = [
    found.length === concepts.length ? formatCount(count, "concept") : `${formatCount(found.length, "concept")} of ${formatInteger(count)}`,
    folded ? `${formatCount(folded, "near-duplicate")} folded` : "",
    nextConcepts ? `sorted and searched among the first ${formatInteger(concepts.length)}` : "",
  ];
  const text = summary.filter(Boolean).join(", ");
  if (!found.length) return [el("h2", {}, text), el("p", { class: "help" }, "No concept matches the search.")];
  const items = groups.slice(0, shown).map(({ concept, folded: others }) => conceptCard(concept, others, library, job, mostImportant));
  return [el("h2", {}, text), el("ol", { class: "gallery" }, items)];
}

/** Set sort, search and folding to those of the page's address. */
function readAddress() {
  const query = new URLSearchParams(location.search);
  const usable = Object.entries(SORTS).filter(([key]) => concepts.some((concept) => concept[/** @type {SortKey} */ (key)] !== null));
  selectById("sort").replaceChildren(...usable.map(([value, name]) => el("option", { value }, name)));
  const sort = query.get("sort");
  if (usable.some(([key]) => key === sort)) selectById("sort").value = String(sort);
  inputById("search").value = query.get("search") ?? "";
  inputById("fold").checked = query.get("fold") !== "false";
}

function refresh() {
  const query = new URLSearchParams();
  if (selectById("sort").selectedIndex > 0) query.set("sort", selectById("sort").value);
  if (inputById("search").value) query.set("search", inputById("search").value);
  if (!inputById("fold").checked) query.set("fold", "false");
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  gallery.replaceChildren(...cards());
  announce(gallery.querySelector("h2")?.textContent ?? "");
}

tools.addEventListener("submit", (event) => event.preventDefault());
tools.addEventListener("input", () => {
  shown = SHOWN_AT_ONCE;
  refresh();
});
more.addEventListener("click", async () => {
  more.disabled = true;
  const before = gallery.querySelectorAll(".card").length;
  try {
    shown = Math.min(shown, matching().groups.length) + SHOWN_AT_ONCE;
    for (let pages = 0; nextConcepts && matching().groups.length < shown && pages < MAX_PAGES_AT_ONCE; pages++) await loadPage();
    refresh();
    gallery.querySelectorAll(".card")[before]?.querySelector("a")?.focus();
  } catch (error) {
    gallery.append(errorNotice(error));
  } finally {
    more.disabled = false;
  }
});
