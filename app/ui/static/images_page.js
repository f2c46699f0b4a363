// The test images of a job as they were read, with filters; and a place to drop an image of one's own.

import { byId, el, empty, fill, problemView, say } from "./dom.js";
import { read, send } from "./explanations.js";
import { notYet, readJob } from "./job_heading.js";
import { share } from "./words.js";

const PAGE_IMAGES = 24;
const list = byId("images");
const more = byId("more");
const filters = byId("filters");
const own = byId("own");
let job = null;
let next = null;

await fill(list, "Reading the test images …", async () => {
  ({ job } = await readJob());
  const waiting = notYet(job);
  if (waiting) return waiting;
  const shown = await images();
  filters.hidden = false;
  own.hidden = job.model === null; // ready features are not made of images that could be posted
  offerClasses();
  return shown;
});

function address() {
  const query = new URLSearchParams({ limit: PAGE_IMAGES });
  if (byId("outcome").value) query.set(byId("outcome").value, "true");
  for (const name of ["class", "predicted"]) if (byId(name).value) query.set(name, byId(name).value);
  return `/v1/jobs/${job.id}/explanations?${query}`;
}

async function images() {
  const page = await read(address());
  if (!page.data.length) return empty("No such images", "None of the test images is like that.");
  return el("ol", { class: "images", id: "image-list" }, take(page));
}

function take(page) {
  next = page.links.next ?? null;
  more.hidden = next === null;
  return page.data.map(card);
}

// Ready features have no pictures.
function picture(address, words, name) {
  return address ? el("img", { src: address, alt: `${words}, ${name ?? ""}`, loading: "lazy" }) : words;
}

function card({ index, name, label, representation, interpretation, links }) {
  const wrong = label !== null && interpretation.class !== label;
  const disagree = representation.class !== interpretation.class;
  return el(
    "li",
    { class: "card" },
    el("a", { href: `/jobs/${job.id}/images/${index}` }, picture(links.image, `Test image ${index}`, name)),
    el("p", {}, el("strong", {}, interpretation.class), ` ${share(interpretation.probability)}`),
    el("p", { class: "help" }, label === null ? "" : wrong ? `✕ wrong, it is ${label}` : "● right"),
    disagree ? el("p", { class: "help" }, `≠ whole: ${representation.class}`) : null,
  );
}

async function offerClasses() {
  const { data } = await read(`/v1/jobs/${job.id}/classes`).catch(() => ({ data: [] }));
  for (const id of ["class", "predicted"]) byId(id).append(...data.map((one) => el("option", { value: one.class }, one.class)));
  const wished = new URLSearchParams(location.search);
  let changed = false;
  for (const [id, value] of wished) {
    if (!byId(id)?.matches("select")) continue;
    byId(id).value = value;
    changed = true;
  }
  if (changed) refresh();
}

function refresh() {
  more.hidden = true;
  return fill(list, "Reading the test images …", images);
}

filters.addEventListener("change", refresh);
filters.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", async () => {
  more.disabled = true;
  try {
    const cards = take(await read(next));
    byId("image-list").append(...cards);
    cards[0]?.querySelector("a").focus();
  } catch (error) {
    list.append(problemView(error));
  } finally {
    more.disabled = false;
  }
});

async function explain(file) {
  const state = byId("own-state");
  state.replaceChildren(`${file.name} is being read …`);
  const form = new FormData();
  form.append("file", file);
  try {
    const explanation = await send(`/v1/jobs/${job.id}/explanations`, { body: form });
    location.assign(`/jobs/${job.id}/images/${explanation.image.id}`);
  } catch (error) {
    state.replaceChildren(el("span", { class: "field-problem" }, error.message));
    say(error.message);
  }
}

byId("own-file").addEventListener("change", ({ target }) => target.files.length && explain(target.files[0]));
for (const type of ["dragenter", "dragover"]) {
  own.addEventListener(type, (event) => {
    event.preventDefault();
    own.classList.add("over");
  });
}
own.addEventListener("dragleave", () => own.classList.remove("over"));
own.addEventListener("submit", (event) => event.preventDefault());
own.addEventListener("drop", (event) => {
  event.preventDefault();
  own.classList.remove("over");
  if (event.dataTransfer.files.length) explain(event.dataTransfer.files[0]);
});
