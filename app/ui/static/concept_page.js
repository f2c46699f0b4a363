// One concept: what shows it, how often it fires, which classes it serves, and the test images that have most of it.

import { bar, largestOf } from "./bars.js";
import { conceptName, crops } from "./crops.js";
import { byId, el, fill } from "./dom.js";
import { read } from "./explanations.js";
import { addressParts, notYet, readJob } from "./job_heading.js";
import { number, share, signed } from "./words.js";

await fill(byId("concept"), "Reading the concept …", async () => {
  const { job } = await readJob();
  const waiting = notYet(job);
  if (waiting) return waiting;
  const [, , index] = addressParts();
  const concept = await read(`/v1/jobs/${job.id}/concepts/${encodeURIComponent(index)}`);
  return [heading(concept), classes(concept, job), topImages(concept, job), duplicates(concept, job)].filter(Boolean);
});

function heading(concept) {
  const fires = concept.never_fires ? "No test image keeps it." : `${share(concept.firing_rate)} of the test images keep it.`;
  return el(
    "section",
    { "aria-label": "The concept" },
    el("h2", {}, conceptName(concept)),
    el("p", { class: "help" }, `No. ${concept.concept}, ${concept.origin}. ${fires} It moves the predicted class by ${number(concept.importance, 2)} on average.`),
    crops(concept.exemplars, null, 10),
  );
}

function classes({ serves, hinders }, job) {
  const largest = largestOf([...serves, ...hinders].map((one) => one.weight));
  const row = (one) => el("li", {}, el("div", { class: "contribution" }, el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(one.class)}` }, one.class), bar(one.weight, largest), el("span", { class: "number" }, signed(one.weight, 2))));
  const list = (id, words, items) => el("div", {}, el("h3", { id }, words), items.length ? el("ol", { class: "contributions", "aria-labelledby": id }, items.map(row)) : el("p", { class: "help" }, "None."));
  return el("section", { class: "columns wide", "aria-label": "Classes" }, list("serves", "Speaks for", serves), list("hinders", "Speaks against", hinders));
}

function topImages({ top_images: images }, job) {
  if (!images.length) return null;
  const card = (one) => el("li", { class: "card" }, el("a", { href: `/jobs/${job.id}/images/${one.index}` }, one.links.image ? el("img", { src: one.links.image, alt: `Test image ${one.index}, class ${one.label}`, loading: "lazy" }) : `Test image ${one.index}`), el("p", {}, one.label), el("p", { class: "help" }, `activation ${number(one.activation, 2)}`));
  return el("section", { "aria-labelledby": "top" }, el("h2", { id: "top" }, "Test images that have most of it"), el("ol", { class: "images" }, images.map(card)));
}

function duplicates({ duplicates: others }, job) {
  if (!others?.length) return null;
  return el("section", { "aria-labelledby": "twins" }, el("h2", { id: "twins" }, "Nearly the same concept"), el("ul", { class: "plain-list" }, others.map((one) => el("li", {}, el("a", { href: `/jobs/${job.id}/concepts/${one.concept}` }, one.label ?? `Concept ${one.concept}`), `, cosine ${number(one.cosine, 2)}`))));
}
