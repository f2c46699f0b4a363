// Page of a job's test images with their predictions and filters; explanation of the user's own image.

import { announce, buttonById, byId, el, emptyState, errorNotice, inputById, loadInto, selectById } from "./dom.js";
import { asPageError } from "./errors.js";
import { saveExplanations } from "./explanation_archive.js";
import { getFromWorker, postToWorker } from "./explanation_requests.js";
import { acceptDrops } from "./file_drop.js";
import { formatCount, formatPercent } from "./formatting.js";
import { imagesQuery } from "./images_query.js";
import { loadJob, unfinishedNotice } from "./job_heading.js";

/** @import { ClassList, ExplainedImage, Explanation, Page } from "../types.d.ts" */

const PAGE_IMAGES = 24;
const MAX_SAVED = 50;
const FILTERS = ["outcome", "class", "predicted", "predicted_by_representation", "confidence"];
const jobId = location.pathname.split("/")[2];
const list = byId("images");
const more = buttonById("more");
const filters = byId("filters");
const ownImage = byId("own-image");
const chosen = byId("chosen");
const saveButton = buttonById("save-chosen");
/** @type {string | null} */
let next = null;

await loadInto(list, "Loading the test images …", async () => {
  const job = await loadJob();
  const notice = unfinishedNotice(job);
  if (notice) return notice;
  readFilters();
  const images = await loadImages();
  filters.hidden = false;
  ownImage.hidden = job.model === null; // precomputed features: no model to run on an image
  addClassFilters();
  return images;
});

/** Set the filters to those of the page's address; their classes are loaded later. */
function readFilters() {
  const query = new URLSearchParams(location.search);
  for (const name of FILTERS) {
    const value = query.get(name);
    const select = selectById(name);
    if (!value) continue;
    if (name !== "outcome" && name !== "confidence") select.append(el("option", { value }, value));
    select.value = value;
  }
}

/** Write the filters to the page's address. */
function writeFilters() {
  const query = new URLSearchParams(FILTERS.flatMap((name) => (selectById(name).value ? [[name, selectById(name).value]] : [])));
  history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
}

function firstPage() {
  return `/v1/jobs/${jobId}/explanations?${imagesQuery(Object.fromEntries(FILTERS.map((name) => [name, selectById(name).value])), PAGE_IMAGES)}`;
}

async function loadImages() {
  /** @type {Page<ExplainedImage>} */
  const page = await getFromWorker(firstPage());
  if (!page.data.length) return emptyState("No matching images", "No test image matches the filters.");
  return el("ol", { class: "images", id: "image-list" }, pageCards(page));
}

/** @param {Page<ExplainedImage>} page */
function pageCards(page) {
  next = page.links.next ?? null;
  more.hidden = next === null;
  return page.data.map(card);
}

/** @param {ExplainedImage} image */
function card({ index, name, label, labels, representation, interpretation, links }) {
  const title = `Test image ${index}`;
  const picture = links.image ? el("img", { src: links.image, alt: `${title}, ${name ?? ""}`, loading: "lazy" }) : title;
  const wrong = label !== null && interpretation.class !== label;
  const outcome = labels ? `labels: ${labels.join(", ") || "none"}` : label === null ? "" : wrong ? `✕ wrong; true class ${label}` : "● correct";
  const disagree = representation.class !== interpretation.class;
  const box = el("input", { type: "checkbox", value: index, class: "image-choice", "aria-label": `Choose ${title.toLowerCase()}` });
  return el(
    "li",
    { class: "card choosable" },
    el("label", { class: "card-choice" }, box),
    el("a", { href: `/jobs/${jobId}/images/${index}` }, picture),
    el("p", {}, el("strong", {}, interpretation.class), ` ${formatPercent(interpretation.probability)}`),
    el("p", { class: "help" }, outcome),
    disagree ? el("p", { class: "help" }, `≠ representation: ${representation.class}`) : null,
  );
}

/** Add the classes to the filters; multi-label data have no wrong predictions to filter by. */
async function addClassFilters() {
  /** @type {Promise<ClassList>} */
  const request = getFromWorker(`/v1/jobs/${jobId}/classes`);
  const classes = await request.then(({ data }) => data, () => []);
  if (classes[0]?.quantity === "average_precision") selectById("outcome").querySelector('[value="wrong"]')?.remove();
  for (const name of ["class", "predicted", "predicted_by_representation"]) {
    const select = selectById(name);
    const chosen = select.value;
    select.replaceChildren(select.options[0], ...classes.map((item) => el("option", { value: item.class }, item.class)));
    select.value = chosen;
  }
}

/** Indices of the chosen images. */
function chosenImages() {
  /** @type {NodeListOf<HTMLInputElement>} */
  const boxes = list.querySelectorAll(".image-choice:checked");
  return [...boxes].map((box) => Number(box.value));
}

/** Show the number of chosen images, and the button that saves their explanations. */
function showChosen() {
  const { length } = chosenImages();
  chosen.hidden = length === 0;
  saveButton.textContent = `Download ${formatCount(length, "explanation")}, ZIP`;
  saveButton.disabled = length > MAX_SAVED;
  byId("chosen-state").textContent = length > MAX_SAVED ? `At most ${MAX_SAVED} at once.` : "";
}

list.addEventListener("change", showChosen);
saveButton.addEventListener("click", async () => {
  const images = chosenImages();
  const state = byId("chosen-state");
  saveButton.disabled = true;
  try {
    await saveExplanations(jobId, images, (done) => (state.textContent = `Explanation ${done + 1} of ${images.length} …`));
    state.textContent = "Saved.";
  } catch (error) {
    state.replaceChildren(el("span", { class: "field-problem" }, asPageError(error).message));
  } finally {
    saveButton.disabled = false;
  }
});

function refresh() {
  more.hidden = true;
  chosen.hidden = true;
  writeFilters();
  return loadInto(list, "Loading the test images …", loadImages);
}

filters.addEventListener("change", refresh);
filters.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", async () => {
  if (next === null) return;
  more.disabled = true;
  try {
    const cards = pageCards(await getFromWorker(next));
    byId("image-list").append(...cards);
    cards[0]?.querySelector("a")?.focus();
  } catch (error) {
    list.append(errorNotice(error));
  } finally {
    more.disabled = false;
  }
});

/** @param {File} file */
async function explainFile(file) {
  const state = byId("own-image-state");
  state.replaceChildren(`Explaining ${file.name} …`);
  const form = new FormData();
  form.append("file", file);
  try {
    /** @type {Explanation} */
    const explanation = await postToWorker(`/v1/jobs/${jobId}/explanations`, { body: form });
    location.assign(`/jobs/${jobId}/images/${explanation.image.id}`);
  } catch (error) {
    const { message } = asPageError(error);
    state.replaceChildren(el("span", { class: "field-problem" }, message));
    announce(message);
  }
}

inputById("own-image-file").addEventListener("change", () => {
  const file = inputById("own-image-file").files?.[0];
  if (file) explainFile(file);
});
ownImage.addEventListener("submit", (event) => event.preventDefault());
acceptDrops(ownImage, explainFile);
