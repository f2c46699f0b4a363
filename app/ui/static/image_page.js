// One image read through concepts: what was kept, what spoke for and against, where it is, and what would change the answer.

import { bar, largestOf } from "./bars.js";
import { conceptName, crops } from "./crops.js";
import { byId, el, fill, problemView, say } from "./dom.js";
import { agreementSentence, correctnessSentence, counterfactualSentence, explanationPath, logitSentence, nodeWords, read } from "./explanations.js";
import { faithfulnessSection } from "./faithfulness.js";
import { Interventions } from "./interventions.js";
import { addressParts, readJob } from "./job_heading.js";
import { Picture } from "./picture.js";
import { number, share, signed } from "./words.js";

const [jobId, , image] = addressParts();
const body = byId("explanation");
const query = new URLSearchParams(location.search);
const choices = { kept: query.get("kept") ?? undefined, contrast: query.get("contrast") ?? undefined, top: 8 };
const MOST_LISTED = 100;
let shown = null; // the concept whose heat map lies over the image
let asked = 0; // changes so far: an answer to an earlier one than the last says what nobody asks any more

await fill(body, "Reading the image through its concepts …", async () => {
  await readJob();
  return view(await explanationNow());
});

// The explanation under the choices as they are; the address says the same.
async function explanationNow() {
  const kept = new URLSearchParams(Object.entries({ kept: choices.kept, contrast: choices.contrast }).filter(([, value]) => value));
  history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}`);
  const { contrast } = choices;
  try {
    return await read(explanationPath(jobId, image, choices));
  } catch (error) {
    // With other concepts kept, what was set against the prediction may be the prediction itself.
    if (error.code !== "contrast_predicted" || choices.contrast !== contrast) throw error;
    choices.contrast = undefined;
    return explanationNow();
  }
}

async function change(changed) {
  Object.assign(choices, changed);
  const turn = ++asked;
  const focused = document.activeElement?.id;
  try {
    body.setAttribute("aria-busy", "true");
    const explanation = await explanationNow();
    if (turn !== asked) return;
    body.replaceChildren(...view(explanation));
    say(`${agreementSentence(explanation)} ${nodeWords(explanation, explanation.concept_count)}.`);
    if (focused) byId(focused)?.focus();
  } catch (error) {
    if (turn === asked) body.prepend(problemView(error));
  } finally {
    if (turn === asked) body.removeAttribute("aria-busy");
  }
}

function view(explanation) {
  const picture = new Picture(explanation);
  const interventions = new Interventions(explanation);
  const side = el("div", { class: "reading" }, predictions(explanation), controls(explanation));
  return [
    heading(explanation),
    el("div", { class: "viewer" }, picture.node, side),
    contributions(explanation, picture, interventions),
    interventions.node,
    el("section", { "aria-labelledby": "counterfactual" }, el("h2", { id: "counterfactual" }, "What would change the answer"), el("p", {}, counterfactualSentence(explanation))),
    faithfulnessSection(explanation),
    downloads(explanation),
  ];
}

function heading({ image: seen, kept }) {
  const next = el("button", { type: "button", id: "next-wrong" }, "Next wrong prediction");
  const told = el("span", { role: "status" });
  next.addEventListener("click", async () => {
    try {
      const after = seen.index === null ? "" : `&after=${seen.index}`;
      const page = await read(`/v1/jobs/${jobId}/explanations?wrong=true&limit=1&kept=${kept}${after}`);
      if (page.data.length) location.assign(`/jobs/${jobId}/images/${page.data[0].index}?kept=${kept}`);
      else told.textContent = "There is no further wrong prediction among the test images.";
    } catch (error) {
      told.textContent = error.message;
    }
  });
  const name = seen.name || (seen.index === null ? "Your image" : `Test image ${seen.index}`);
  return el("div", { class: "page-head" }, el("h2", {}, name), el("p", {}, told, " ", next));
}

function predictions(explanation) {
  const column = (heading, { top }) => el("div", {}, el("h3", {}, heading), el("ol", { class: "ranking" }, top.map((one) => el("li", {}, el("span", { class: "ranked" }, one.class), bar(one.probability, 1, "plain"), el("span", { class: "number" }, share(one.probability))))));
  return el(
    "section",
    { "aria-label": "Predictions" },
    el("p", { class: explanation.agree ? "verdict" : "verdict disagree" }, agreementSentence(explanation), " ", correctnessSentence(explanation)),
    el("div", { class: "columns" }, column("Whole representation", explanation.representation), column("Kept concepts", explanation.interpretation)),
  );
}

function controls(explanation) {
  const nodes = explanation.nodes.toSorted((one, other) => other.kept - one.kept);
  const at = Math.max(0, nodes.findIndex((node) => node.kept === explanation.kept));
  const slider = el("input", { type: "range", id: "kept", min: 0, max: nodes.length - 1, value: at, "aria-valuetext": nodeWords(nodes[at], explanation.concept_count) });
  const words = el("output", { for: "kept" }, nodeWords(nodes[at], explanation.concept_count));
  slider.addEventListener("input", () => {
    words.textContent = nodeWords(nodes[slider.value], explanation.concept_count);
    slider.setAttribute("aria-valuetext", words.textContent);
  });
  slider.addEventListener("change", () => change({ kept: nodes[slider.value].kept }));
  const others = explanation.class_names.filter((name) => name !== explanation.explained.class);
  const contrast = el("select", { id: "contrast" }, el("option", { value: "" }, "all other classes"), others.map((name) => el("option", { value: name }, name)));
  contrast.value = explanation.contrast?.class ?? "";
  contrast.addEventListener("change", () => change({ contrast: contrast.value || undefined }));
  return el("section", { class: "controls", "aria-label": "How it is read" }, el("label", { for: "kept" }, "Fewer concepts to the right"), slider, words, el("label", { for: "contrast" }, `Why ${explanation.explained.class} rather than `, contrast));
}

function contributions(explanation, picture, interventions) {
  const every = [...explanation.supporting, ...explanation.opposing];
  const largest = largestOf(every.map((one) => one.contribution));
  const buttons = [];
  const row = (contribution) => {
    const choose = el("button", { type: "button", class: "concept-choice", "aria-pressed": String(shown === contribution.concept) }, conceptName(contribution));
    choose.addEventListener("click", () => {
      shown = contribution.concept;
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === choose));
      picture.show(contribution);
    });
    choose.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      buttons[buttons.indexOf(choose) + step]?.focus();
    });
    buttons.push(choose);
    const about = el("a", { href: `/jobs/${jobId}/concepts/${contribution.concept}`, class: "help", "aria-label": `More about ${conceptName(contribution)}` }, "more");
    return el(
      "li",
      {},
      el("div", { class: "contribution" }, choose, bar(contribution.contribution, largest), el("span", { class: "number" }, signed(contribution.contribution, 2))),
      el("div", { class: "evidence" }, crops(contribution.exemplars, null, 4), el("span", { class: "help" }, `activation ${number(contribution.activation, 2)} `, about)),
      interventions.control(contribution),
    );
  };
  const list = (id, heading, items, nothing) => el("div", {}, el("h3", { id }, heading), items.length ? el("ol", { class: "contributions", "aria-labelledby": id }, items.map(row)) : el("p", { class: "help" }, nothing));
  const supporting = list("supporting", `Speaks for ${explanation.explained.class}`, explanation.supporting, "Nothing speaks for it.");
  const opposing = list("opposing", "Speaks against it", explanation.opposing, "Nothing speaks against it.");
  const standing = every.find((one) => one.concept === shown);
  if (standing) picture.show(standing);
  const more = el("button", { type: "button", id: "more-concepts" }, "Show more concepts");
  more.addEventListener("click", () => change({ top: Math.min(MOST_LISTED, choices.top + 24) }));
  const rest = Math.abs(explanation.remainder) > 1e-9 ? `Concepts not listed add ${signed(explanation.remainder, 2)}.` : "";
  return el(
    "section",
    { "aria-labelledby": "contributions" },
    el("h2", { id: "contributions" }, "Which concepts carried it"),
    el("p", { class: "help" }, logitSentence(explanation), " ", rest),
    el("div", { class: "columns wide" }, supporting, opposing),
    explanation.remaining > 0 && choices.top < MOST_LISTED ? more : null,
  );
}

function downloads({ links }) {
  const items = [["sheet_png", "One sheet for a paper, PNG"], ["sheet_svg", "One sheet for a paper, SVG"], ["self", "The explanation, JSON"]];
  return el("section", { "aria-labelledby": "downloads" }, el("h2", { id: "downloads" }, "To take away"), el("ul", { class: "downloads" }, items.filter(([name]) => links[name]).map(([name, words]) => el("li", {}, el("a", { href: links[name], download: "" }, words)))));
}
