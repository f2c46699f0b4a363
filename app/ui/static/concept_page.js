// Page of one concept: exemplars, how often it is active, its classes, the test images that activate it most.

import { bar, maxMagnitude } from "./bars.js";
import { conceptLabel, conceptName } from "./concept_names.js";
import { crops } from "./crops.js";
import { byId, el, loadInto, section } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatNumber, formatPercent, formatSigned } from "./formatting.js";
import { loadJob, pathParts, unfinishedNotice } from "./job_heading.js";

/** @import { ActivatingImage, ClassWeight, ConceptProfile, Job } from "../types.d.ts" */

await loadInto(byId("concept"), "Loading the concept …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  const [, , index] = pathParts();
  /** @type {ConceptProfile} */
  const concept = await getFromWorker(`/v1/jobs/${job.id}/concepts/${encodeURIComponent(index)}`);
  return [heading(concept), classes(concept, job), topImages(concept, job), duplicates(concept, job)];
});

/** @param {ConceptProfile} concept */
function heading(concept) {
  const firing = concept.never_fires ? "Not kept in any test image." : `Kept in ${formatPercent(concept.firing_rate)} of the test images.`;
  const importance = `Importance: ${formatNumber(concept.importance, 2)} (mean magnitude of its contribution to the predicted class).`;
  return el(
    "section",
    { "aria-label": "Concept" },
    el("h2", {}, conceptName(concept)),
    el("p", { class: "help" }, `No. ${concept.concept}, ${concept.origin}. ${firing} ${importance}`),
    crops(concept.exemplars, null, 10),
  );
}

/**
 * @param {ConceptProfile} concept
 * @param {Job} job
 */
function classes({ serves, hinders }, job) {
  const largest = maxMagnitude([...serves, ...hinders].map(({ weight }) => weight));
  /** @param {ClassWeight} item */
  const row = ({ class: name, weight }) => {
    const link = el("a", { href: `/jobs/${job.id}/classes/${encodeURIComponent(name)}` }, name);
    const value = el("span", { class: "number" }, formatSigned(weight, 2));
    return el("li", {}, el("div", { class: "contribution" }, link, bar(weight, largest), value));
  };
  /**
   * @param {string} id
   * @param {string} title
   * @param {ClassWeight[]} items
   */
  const list = (id, title, items) =>
    el(
      "div",
      {},
      el("h3", { id }, title),
      items.length ? el("ol", { class: "contributions", "aria-labelledby": id }, items.map(row)) : el("p", { class: "help" }, "None."),
    );
  return el(
    "section",
    { class: "columns wide", "aria-label": "Classes" },
    list("supported", "Supported classes", serves),
    list("opposed", "Opposed classes", hinders),
  );
}

/**
 * @param {ConceptProfile} concept
 * @param {Job} job
 */
function topImages({ top_images: images }, job) {
  if (!images.length) return null;
  /** @param {ActivatingImage} image */
  const card = ({ index, label, activation, links }) => {
    const name = `Test image ${index}`;
    const picture = links.image ? el("img", { src: links.image, alt: `${name}, class ${label}`, loading: "lazy" }) : name;
    return el(
      "li",
      { class: "card" },
      el("a", { href: `/jobs/${job.id}/images/${index}` }, picture),
      el("p", {}, label),
      el("p", { class: "help" }, `activation ${formatNumber(activation, 2)}`),
    );
  };
  return section("top-images", "Top activating test images", el("ol", { class: "images" }, images.map(card)));
}

/**
 * @param {ConceptProfile} concept
 * @param {Job} job
 */
function duplicates({ duplicates: others }, job) {
  if (!others?.length) return null;
  const items = others.map((other) => {
    const link = el("a", { href: `/jobs/${job.id}/concepts/${other.concept}` }, conceptLabel(other));
    return el("li", {}, link, `, cosine ${formatNumber(other.cosine, 2)}`);
  });
  return section("near-duplicates", "Near-duplicate concepts", el("ul", { class: "plain-list" }, items));
}
