// Sections of one concept: exemplars, how often it is active, its classes, histogram of its activations, test images at three levels.

import { bar, maxMagnitude } from "./bars.js";
import { colour, draw } from "./charts.js";
import { conceptLabel, conceptName } from "./concept_names.js";
import { crops } from "./crops.js";
import { el, errorNotice, section, table } from "./dom.js";
import { describeTrueLabels } from "./explanation_formatting.js";
import { formatCount, formatNumber, formatPercent, formatSigned } from "./formatting.js";

/** @import { ActivatingImage, ClassWeight, Column, ConceptProfile, Job } from "../types.d.ts" */

/** @type {["high" | "middle" | "low", string][]} */
const LEVELS = [
  ["high", "Highest activations"],
  ["middle", "Around the median"],
  ["low", "Lowest activations"],
];

/**
 * @param {ConceptProfile} concept
 * @param {Job} job
 */
export function conceptSections(concept, job) {
  return [heading(concept), classes(concept, job), activations(concept), levels(concept, job), duplicates(concept, job)];
}

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
 * Histogram of the activations in the test images.
 * @param {ConceptProfile} concept
 */
function activations({ histogram }) {
  if (!histogram) return null;
  const { edges, counts } = histogram;
  const node = el("div", { class: "plot small", role: "img", "aria-label": "Histogram of the activations in the test images. A table follows." });
  const problem = el("div");
  const bins = counts.map((count, index) => ({ low: edges[index], high: edges[index + 1], count }));
  const makePlot = () => ({
    traces: [
      {
        type: "bar",
        x: bins.map(({ low, high }) => (low + high) / 2),
        y: counts,
        width: edges[1] - edges[0],
        marker: { color: colour("accent"), line: { color: colour("background"), width: 1 } },
        text: bins.map(({ low, high, count }) => `${formatCount(count, "image")}, activation ${formatNumber(low, 2)} to ${formatNumber(high, 2)}`),
        textposition: "none",
        hovertemplate: "%{text}<extra></extra>",
      },
    ],
    layout: { height: 260, xaxis: { title: "Activation" }, yaxis: { title: "Test images", rangemode: "tozero" } },
  });
  requestAnimationFrame(() => draw(node, makePlot).catch((error) => problem.replaceChildren(errorNotice(error))));
  /** @type {Column<typeof bins[number]>[]} */
  const columns = [
    ["Activation", ({ low, high }) => `${formatNumber(low, 2)} to ${formatNumber(high, 2)}`],
    ["Test images", ({ count }) => count, "number"],
  ];
  return section("activations", "Activations", node, problem, el("details", {}, el("summary", {}, "Show as table"), table("Test images by activation", columns, bins)));
}

/**
 * Test images of high, middle and low activation, each with the concept's heat map over it.
 * @param {ConceptProfile} concept
 * @param {Job} job
 */
function levels(concept, job) {
  if (!concept.levels) return null;
  const groups = LEVELS.map(([level, title]) => {
    const images = concept.levels?.[level] ?? [];
    return images.length ? el("div", { class: "level" }, el("h3", {}, title), el("ol", { class: "images" }, images.map((image) => imageCard(image, concept.concept, job)))) : null;
  });
  const help = "Red raises the activation, blue lowers it; each map has its own scale.";
  return section("levels", "Test images by activation", el("p", { class: "help" }, help), groups);
}

/**
 * @param {ActivatingImage} image
 * @param {number} concept
 * @param {Job} job
 */
function imageCard({ index, label, labels, activation, links }, concept, job) {
  const name = `Test image ${index}`;
  const truth = describeTrueLabels({ label, labels });
  const map = () => el("img", { class: "heatmap", src: `${links.explanation}/heatmaps/${concept}.png`, alt: "", loading: "lazy" });
  const picture = links.image ? el("span", { class: "layers mapped" }, el("img", { src: links.image, alt: `${name}, ${labels ? "labels" : "class"} ${truth}`, loading: "lazy" }), map()) : name;
  return el(
    "li",
    { class: "card" },
    el("a", { href: `/jobs/${job.id}/images/${index}` }, picture),
    el("p", {}, truth),
    el("p", { class: "help" }, `activation ${formatNumber(activation, 2)}`),
  );
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
