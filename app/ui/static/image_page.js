// Page of one explained image: predictions, concept contributions, heat maps, interventions, counterfactual, faithfulness.

import { maxMagnitude } from "./bars.js";
import { ContributionItems } from "./contribution_items.js";
import { announce, byId, downloadItem, downloadList, el, errorNotice, loadInto, section } from "./dom.js";
import { asPageError } from "./errors.js";
import { describeAgreement, describeCounterfactual, describeLogit, describeNode } from "./explanation_formatting.js";
import { explanationPath, getFromWorker } from "./explanation_requests.js";
import { contributionLists, imageName, labelsSection, noveltyNote, predictions } from "./explanation_sections.js";
import { faithfulnessSection } from "./faithfulness.js";
import { formatSigned } from "./formatting.js";
import { ImageFigure } from "./image_figure.js";
import { imagePair } from "./image_pair.js";
import { Interventions } from "./interventions.js";
import { loadJob, pathParts } from "./job_heading.js";
import { updateJson } from "./page_tools.js";

/** @import { Contribution, ExplainedImage, Explanation, Page } from "../types.d.ts" */

/** @typedef {{kept?: string | number, contrast?: string, beside?: string, top: number}} Options */

const MAX_LISTED = 100;
const MORE_LISTED = 24;
const [jobId, , imageId] = pathParts();
const body = byId("explanation");
const query = new URLSearchParams(location.search);
/** @type {Options} */
const options = { kept: query.get("kept") ?? undefined, contrast: query.get("contrast") ?? undefined, beside: query.get("beside") ?? undefined, top: 8 };
/** @type {number | null} */
let selectedConcept = null;
let updates = 0; // number of updates so far; the response to an earlier one is discarded

await loadInto(body, "Loading the explanation …", async () => {
  await loadJob();
  return view(await loadExplanation());
});

/**
 * The explanation with the current options, which are also written to the page's address.
 * @returns {Promise<Explanation>}
 */
async function loadExplanation() {
  const { kept, contrast, top } = options;
  writeAddress();
  try {
    const path = explanationPath(jobId, imageId, { kept, contrast, top });
    /** @type {Explanation} */
    const explanation = await getFromWorker(path);
    updateJson(path);
    return explanation;
  } catch (error) {
    // With other concepts kept, the contrast class may become the predicted class.
    if (asPageError(error).code !== "contrast_predicted" || options.contrast !== contrast) throw error;
    options.contrast = undefined;
    return loadExplanation();
  }
}

/** Write the options to the page's address. */
function writeAddress() {
  const { kept, contrast, beside } = options;
  const address = new URLSearchParams();
  if (kept) address.set("kept", String(kept));
  if (contrast) address.set("contrast", contrast);
  if (beside) address.set("beside", beside);
  history.replaceState(null, "", `${location.pathname}${address.size ? `?${address}` : ""}`);
}

/** @param {Partial<Options>} changes */
async function update(changes) {
  Object.assign(options, changes);
  const number = ++updates;
  const focusedId = document.activeElement?.id;
  try {
    body.setAttribute("aria-busy", "true");
    const explanation = await loadExplanation();
    if (number !== updates) return;
    body.replaceChildren(...view(explanation));
    announce(`${describeAgreement(explanation)} ${describeNode(explanation, explanation.concept_count)}.`);
    if (focusedId) document.getElementById(focusedId)?.focus();
  } catch (error) {
    if (number === updates) body.prepend(errorNotice(error));
  } finally {
    if (number === updates) body.removeAttribute("aria-busy");
  }
}

/** @param {Explanation} explanation */
function view(explanation) {
  const all = [...explanation.supporting, ...explanation.opposing];
  const largest = maxMagnitude(all.map(({ contribution }) => contribution));
  const items = new ContributionItems(`/jobs/${jobId}/concepts`, largest, selectedConcept, select);
  const figure = new ImageFigure(explanation, select);
  const interventions = new Interventions(explanation);
  /** @param {Contribution} contribution */
  function select(contribution) {
    selectedConcept = contribution.concept;
    items.select(contribution.concept);
    figure.show(contribution);
  }
  const shown = all.find(({ concept }) => concept === selectedConcept) ?? figure.strip[0];
  if (shown) selectedConcept = shown.concept;
  const list = contributions(explanation, items, interventions);
  if (shown) items.select(shown.concept);
  figure.start(shown);
  const rightSide = el("div", {}, predictions(explanation), controls(explanation), list, interventions.node);
  return [
    heading(explanation),
    ...(explanation.novelty ? [noveltyNote(explanation.novelty)] : []),
    el("div", { class: explanation.links.image ? "viewer" : "" }, figure.node, rightSide),
    ...(explanation.labels ? [labelsSection(explanation.labels)] : []),
    imagePair(explanation, options.beside, (beside) => {
      options.beside = beside;
      writeAddress();
    }),
    section("counterfactual", "Counterfactual", el("p", {}, describeCounterfactual(explanation))),
    faithfulnessSection(explanation),
    downloads(explanation),
  ];
}

/** @param {Explanation} explanation */
function heading(explanation) {
  const { image, kept, labels, links } = explanation;
  const next = el("button", { type: "button", id: "next-wrong" }, "Next misclassified image");
  const status = el("span", { role: "status" });
  next.addEventListener("click", async () => {
    try {
      const after = image.index === null ? "" : `&after=${image.index}`;
      /** @type {Page<ExplainedImage>} */
      const page = await getFromWorker(`/v1/jobs/${jobId}/explanations?wrong=true&limit=1&kept=${kept}${after}`);
      if (page.data.length) location.assign(`/jobs/${jobId}/images/${page.data[0].index}?kept=${kept}`);
      else status.textContent = "No further test image is misclassified.";
    } catch (error) {
      status.textContent = asPageError(error).message;
    }
  });
  const wrong = labels ? null : next; // an image of several labels is not simply right or wrong
  return el("div", { class: "page-head" }, el("h2", {}, imageName(explanation)), el("p", { class: "neighbours" }, status, neighbourLinks(links, kept), wrong));
}

/**
 * Links to the test images before and after this one; the arrow keys follow them.
 * @param {Explanation["links"]} links
 * @param {number} kept
 */
function neighbourLinks(links, kept) {
  /** @type {[string, string, string][]} */
  const places = [
    ["previous", "← Previous", "ArrowLeft"],
    ["next", "Next →", "ArrowRight"],
  ];
  return places
    .filter(([name]) => links[name])
    .map(([name, text, key]) => {
      const href = `/jobs/${jobId}/images/${links[name].split("/").at(-1)}?kept=${kept}`;
      return el("a", { class: "button", href, rel: name === "next" ? "next" : "prev", "aria-keyshortcuts": key }, text);
    });
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea, [tabindex]:not(main)")) return;
  /** @type {HTMLAnchorElement | null} */
  const link = document.querySelector(`a[aria-keyshortcuts="${event.key}"]`);
  if (link) location.assign(link.href);
});

/** @param {Explanation} explanation */
function controls(explanation) {
  const { concept_count: count, explained } = explanation;
  const nodes = explanation.nodes.toSorted((first, second) => second.kept - first.kept);
  const position = Math.max(0, nodes.findIndex((node) => node.kept === explanation.kept));
  const description = describeNode(nodes[position], count);
  const slider = el("input", { type: "range", id: "kept", min: 0, max: nodes.length - 1, value: position, "aria-valuetext": description });
  const output = el("output", { for: "kept" }, description);
  slider.addEventListener("input", () => {
    output.textContent = describeNode(nodes[Number(slider.value)], count);
    slider.setAttribute("aria-valuetext", output.textContent);
  });
  slider.addEventListener("change", () => update({ kept: nodes[Number(slider.value)].kept }));
  const others = explanation.class_names.filter((name) => name !== explained.class);
  const all = el("option", { value: "" }, "all other classes");
  const contrast = el("select", { id: "contrast" }, all, others.map((name) => el("option", { value: name }, name)));
  contrast.value = explanation.contrast?.class ?? "";
  contrast.addEventListener("change", () => update({ contrast: contrast.value || undefined }));
  return el(
    "section",
    { class: "controls", "aria-label": "Explanation options" },
    el("label", { for: "kept" }, "Concepts kept (fewer to the right)"),
    slider,
    output,
    explanation.labels ? null : el("label", { for: "contrast" }, `Contrast ${explained.class} with `, contrast),
  );
}

/**
 * @param {Explanation} explanation
 * @param {ContributionItems} items
 * @param {Interventions} interventions
 */
function contributions(explanation, items, interventions) {
  const more = el("button", { type: "button", id: "more-concepts" }, "Show more concepts");
  more.addEventListener("click", () => update({ top: Math.min(MAX_LISTED, options.top + MORE_LISTED) }));
  const rest = Math.abs(explanation.remainder) > 1e-9 ? `Concepts not listed contribute ${formatSigned(explanation.remainder, 2)}.` : "";
  return section(
    "contributions",
    "Concept contributions",
    el("p", { class: "help" }, describeLogit(explanation), " ", rest, " Move a slider to suppress or boost a concept; the new prediction is shown below it."),
    contributionLists(explanation, (concept) => items.item(concept, interventions.control(concept))),
    explanation.remaining > 0 && options.top < MAX_LISTED ? more : null,
  );
}

/** @param {Explanation} explanation */
function downloads({ links }) {
  const items = [
    ["sheet_png", "Summary figure, PNG"],
    ["sheet_svg", "Summary figure, SVG"],
    ["self", "Explanation, JSON"],
  ].filter(([name]) => links[name]);
  return section("downloads", "Downloads", downloadList(items.map(([name, text]) => downloadItem(links[name], text))));
}
