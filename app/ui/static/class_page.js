// One class: the concepts that speak for it and against it, and what it is taken for.

import { bar, largestOf } from "./bars.js";
import { conceptName, crops } from "./crops.js";
import { byId, el, fill } from "./dom.js";
import { read } from "./explanations.js";
import { addressParts, notYet, readJob } from "./job_heading.js";
import { counted, number, share, signed } from "./words.js";

await fill(byId("class"), "Reading the class …", async () => {
  const { job } = await readJob();
  const waiting = notYet(job);
  if (waiting) return waiting;
  const [, , ...name] = addressParts();
  const profile = await read(`/v1/jobs/${job.id}/classes/${encodeURIComponent(name.join("/"))}?top=10`);
  return [heading(profile), weights(profile, job), confusions(profile, job), downloads(profile)].filter(Boolean);
});

function heading({ class: name, accuracy, bias }) {
  return el("div", {}, el("h2", {}, `Class ${name}`), el("p", { class: "help" }, `Accuracy ${share(accuracy?.representation)} from the whole representation, ${share(accuracy?.interpretation)} from the kept concepts. Where no concept speaks, the head gives it ${signed(bias, 2)}.`));
}

function weights({ supporting, opposing }, job) {
  const largest = largestOf([...supporting, ...opposing].map((one) => one.weight));
  const row = (one) =>
    el(
      "li",
      {},
      el("div", { class: "contribution" }, el("a", { href: `/jobs/${job.id}/concepts/${one.concept}` }, conceptName(one)), bar(one.weight, largest), el("span", { class: "number" }, signed(one.weight, 2))),
      el("div", { class: "evidence" }, crops(one.exemplars, null, 5), el("span", { class: "help" }, `adds ${number(one.mean_contribution, 2)} on average`)),
    );
  const list = (id, words, items) => el("div", {}, el("h3", { id }, words), items.length ? el("ol", { class: "contributions", "aria-labelledby": id }, items.map(row)) : el("p", { class: "help" }, "None."));
  return el("section", { class: "columns wide", "aria-label": "Weights of the concepts" }, list("for", "Speaks for it", supporting), list("against", "Speaks against it", opposing));
}

function confusions({ class: name, confused_with: others }, job) {
  const images = (other) => `/jobs/${job.id}/images?class=${encodeURIComponent(name)}&predicted=${encodeURIComponent(other)}`;
  const items = others.map((one) => el("li", {}, el("a", { href: images(one.class) }, one.class), `, ${counted(one.count, "image")}`));
  return el("section", { "aria-labelledby": "confused" }, el("h2", { id: "confused" }, "Taken for"), items.length ? el("ul", { class: "plain-list" }, items) : el("p", { class: "help" }, "No test image of this class is read as another."));
}

function downloads({ links }) {
  const items = [["profile_png", "Profile, PNG"], ["profile_svg", "Profile, SVG"]].filter(([name]) => links[name]);
  if (!items.length) return null;
  return el("section", { "aria-labelledby": "downloads" }, el("h2", { id: "downloads" }, "To take away"), el("ul", { class: "downloads" }, items.map(([name, words]) => el("li", {}, el("a", { href: links[name], download: "" }, words)))));
}
