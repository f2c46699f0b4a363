// Page of one class: supporting and opposing concepts, confusions, downloads.

import { bar, maxMagnitude } from "./bars.js";
import { conceptName } from "./concept_names.js";
import { crops } from "./crops.js";
import { byId, downloadItem, downloadList, el, loadInto, section } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatCount, formatNumber, formatPercent, formatSigned } from "./formatting.js";
import { loadJob, pathParts, unfinishedNotice } from "./job_heading.js";

/** @import { ClassProfile, Job, WeightedConcept } from "../types.d.ts" */

await loadInto(byId("class"), "Loading the class …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  const [, , ...name] = pathParts(); // a class name may contain slashes
  /** @type {ClassProfile} */
  const profile = await getFromWorker(`/v1/jobs/${job.id}/classes/${encodeURIComponent(name.join("/"))}?top=10`);
  return [heading(profile), weights(profile, job), confusions(profile, job), downloads(profile)];
});

/** @param {ClassProfile} profile */
function heading({ class: name, accuracy, bias, quantity }) {
  const representation = formatPercent(accuracy?.representation);
  const interpretation = formatPercent(accuracy?.interpretation);
  const isLabel = quantity === "average_precision";
  const summary = `${isLabel ? "Average precision" : "Accuracy"}: ${representation} with the whole representation, ${interpretation} with the kept concepts. Bias: ${formatSigned(bias, 2)}.`;
  return el("div", {}, el("h2", {}, `${isLabel ? "Label" : "Class"} ${name}`), el("p", { class: "help" }, summary));
}

/**
 * @param {ClassProfile} profile
 * @param {Job} job
 */
function weights({ supporting, opposing }, job) {
  const largest = maxMagnitude([...supporting, ...opposing].map((concept) => concept.weight));
  /** @param {WeightedConcept} concept */
  const item = (concept) => {
    const link = el("a", { href: `/jobs/${job.id}/concepts/${concept.concept}` }, conceptName(concept));
    const weight = el("span", { class: "number" }, formatSigned(concept.weight, 2));
    const mean = el("span", { class: "help" }, `mean contribution ${formatNumber(concept.mean_contribution, 2)}`);
    return el(
      "li",
      {},
      el("div", { class: "contribution" }, link, bar(concept.weight, largest), weight),
      el("div", { class: "contribution-details" }, crops(concept.exemplars, null, 5), mean),
    );
  };
  /**
   * @param {string} id
   * @param {string} title
   * @param {WeightedConcept[]} concepts
   */
  const list = (id, title, concepts) =>
    el(
      "div",
      {},
      el("h3", { id }, title),
      concepts.length ? el("ol", { class: "contributions", "aria-labelledby": id }, concepts.map(item)) : el("p", { class: "help" }, "None."),
    );
  return el(
    "section",
    { class: "columns wide", "aria-label": "Concept weights" },
    list("supporting", "Supporting concepts", supporting),
    list("opposing", "Opposing concepts", opposing),
  );
}

/**
 * @param {ClassProfile} profile
 * @param {Job} job
 */
function confusions({ class: name, confused_with: others, quantity }, job) {
  if (quantity === "average_precision") return null;
  const items = others.map((other) => {
    const href = `/jobs/${job.id}/images?class=${encodeURIComponent(name)}&predicted=${encodeURIComponent(other.class)}`;
    return el("li", {}, el("a", { href }, other.class), `, ${formatCount(other.count, "image")}`);
  });
  const none = el("p", { class: "help" }, "No test image of this class is predicted as another class.");
  return section("confused", "Confused with", items.length ? el("ul", { class: "plain-list" }, items) : none);
}

/** @param {ClassProfile} profile */
function downloads({ links }) {
  const items = [["profile_png", "Profile, PNG"], ["profile_svg", "Profile, SVG"]].filter(([name]) => links[name]);
  if (!items.length) return null;
  return section("downloads", "Downloads", downloadList(items.map(([name, text]) => downloadItem(links[name], text))));
}
