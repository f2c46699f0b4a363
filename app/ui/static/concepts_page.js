// The gallery: each concept with its crops or its phrase and the figures behind it, and the phrases that were left out.

import { get } from "./api.js";
import { conceptName, crops } from "./crops.js";
import { byId, el, empty, fill, problemView, table } from "./dom.js";
import { notYet, readJob } from "./job_heading.js";
import { counted, missing, number, reasonWords } from "./words.js";

const PAGE_CONCEPTS = 24;
const FIGURES = { similarity: "held-out similarity", clip_top5: "mean of top 5 cosines", cosine: "cosine", group: "group", other: "close to" };

const gallery = byId("gallery");
const more = byId("more");
let next = null;

await fill(gallery, "Reading the concepts …", async () => {
  const { job } = await readJob();
  const waiting = notYet(job);
  if (waiting) return waiting;
  const { library } = await get(job.links.result);
  if (!library) return empty("No library", "This job kept no concepts.");
  const page = await get(`/v1/concept-libraries/${library}/concepts?limit=${PAGE_CONCEPTS}`);
  const view = await get(`/v1/concept-libraries/${library}`);
  const grid = el("ol", { class: "gallery" });
  take(page, grid, library, job);
  more.addEventListener("click", () => showMore(grid, library, job));
  showDropped(library);
  return [el("h2", {}, counted(view.concept_count, "concept")), grid];
});

function take(page, grid, library, job) {
  const cards = page.data.map((concept) => card(concept, library, job));
  grid.append(...cards);
  next = page.links.next ?? null;
  more.hidden = next === null;
  return cards;
}

async function showMore(grid, library, job) {
  more.disabled = true;
  try {
    const [first] = take(await get(next), grid, library, job);
    first?.querySelector("a")?.focus();
  } catch (error) {
    gallery.append(problemView(error));
  } finally {
    more.disabled = false;
  }
}

function card(concept, library, job) {
  const named = el("h3", { class: concept.label ? "" : "unnamed" }, el("a", { href: `/jobs/${job.id}/concepts/${concept.index}` }, conceptName(concept)));
  const about = [concept.label ? `No. ${concept.index}` : "", job.library.parts?.length ? concept.origin : ""].filter(Boolean).join(", ");
  return el("li", { class: "card" }, named, about ? el("p", { class: "help" }, about) : null, crops(concept.exemplars, library), details(concept));
}

function details(concept) {
  const told = concept.details;
  if (!told) return null;
  if (told.names) return names(told);
  const lines = Object.entries(told).filter(([, value]) => !missing(value)).map(([name, value]) => figure(name, value));
  return el("dl", { class: "figures" }, lines);
}

function figure(name, value) {
  const words = FIGURES[name] ?? name.replaceAll("_", " ");
  return el("div", {}, el("dt", {}, words), el("dd", {}, typeof value === "number" ? number(value) : String(value)));
}

function names({ names: nearest, margin, named }) {
  const heading = named ? `Nearest phrases; the first leads by ${number(margin, 2)}` : "Unnamed; the phrases nearest to it";
  return el("details", {}, el("summary", {}, heading), el("ol", { class: "phrases" }, nearest.map((one) => el("li", {}, one.phrase, " ", el("span", { class: "help" }, `score ${number(one.score, 2)}, cosine ${number(one.cosine, 2)}`)))));
}

async function showDropped(library) {
  const region = byId("dropped");
  let address = `/v1/concept-libraries/${library}/dropped?limit=50`;
  const rows = [];
  const view = async () => {
    const page = await get(address);
    rows.push(...page.data);
    address = page.links.next ?? null;
    if (!rows.length) return [];
    const button = address ? el("button", { type: "button", onclick: () => fill(region, "Reading more …", view) }, "More phrases") : null;
    const extra = [...new Set(rows.flatMap((row) => Object.keys(row.details)))];
    const columns = [
      ["Phrase", (row) => row.text],
      ["Why", (row) => reasonWords(row.reason)],
      ...extra.map((name) => [FIGURES[name] ?? name.replaceAll("_", " "), (row) => shown(row.details[name]), "number"]),
    ];
    return [el("h2", {}, "Phrases left out"), table("Phrases left out", columns, rows), button].filter(Boolean);
  };
  await fill(region, "Reading what was left out …", view);
}

function shown(value) {
  if (missing(value)) return "";
  return typeof value === "number" ? number(value) : String(value);
}
