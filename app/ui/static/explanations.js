// What an explanation says, in words, and how it is asked for. Nothing is drawn here.

import { get, request } from "./api.js";
import { conceptName } from "./crops.js";
import { counted, missing, number, share } from "./words.js";

const ATTEMPTS = 4;

// The address of one image's explanation with a reader's choices: {kept, contrast, top}, each left out where it is the default.
export function explanationPath(job, image, choices = {}) {
  const query = new URLSearchParams(Object.entries(choices).filter(([, value]) => !missing(value) && value !== ""));
  const text = query.toString();
  return `/v1/jobs/${encodeURIComponent(job)}/explanations/${encodeURIComponent(image)}${text ? `?${text}` : ""}`;
}

// Ask again where a worker was busy, for as long as it said.
async function patiently(ask) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (error.code !== "worker_busy" || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfterSeconds ?? 2)));
    }
  }
}

export const read = (path) => patiently(() => get(path));
export const send = (path, options) => patiently(async () => (await request("POST", path, options)).json());

export function agreementSentence({ representation, interpretation, agree }) {
  const certain = (one) => `${one.class} (${share(one.probability)})`;
  if (agree) return `The representation and its reading through concepts agree on ${interpretation.class}.`;
  return `They disagree: the whole representation says ${certain(representation)}, the kept concepts say ${certain(interpretation)}.`;
}

export function correctnessSentence({ image, correct }) {
  if (!correct || missing(image.label)) return "The true class of this image is not known.";
  const outcome = { 3: "both are right", 2: "only the whole representation is right", 1: "only the concepts are right", 0: "both are wrong" };
  return `The true class is ${image.label}; ${outcome[2 * correct.representation + 1 * correct.interpretation]}.`;
}

export function logitSentence({ explained, contrast, logit, bias }) {
  const what = contrast ? `what speaks for ${explained.class} rather than ${contrast.class}` : `what speaks for ${explained.class}`;
  return `Added up, the contributions (${number(logit - bias, 2)}) and a constant (${number(bias, 2)}) give ${number(logit, 2)}: ${what}.`;
}

export function counterfactualSentence({ counterfactual, explained }) {
  if (!counterfactual) return `Whatever concepts are taken away, it stays ${explained.class}.`;
  const removed = counterfactual.removed.map((one) => `“${conceptName(one)}”`);
  const list = removed.length > 1 ? `${removed.slice(0, -1).join(", ")} and ${removed.at(-1)}` : removed[0];
  return `Without ${list} it would be ${counterfactual.class} (${share(counterfactual.probability)}) instead of ${explained.class}.`;
}

export function nodeWords({ kept, sparsity }, conceptCount) {
  return `${counted(kept, "concept")} of ${conceptCount} kept, sparsity ${number(sparsity, 2)}`;
}

// Where in a picture a map is strongest, in words for those who do not see it.
export function peakWords(values) {
  let best = { size: -1 };
  values.forEach((row, y) => row.forEach((value, x) => Math.abs(value) > best.size && (best = { size: Math.abs(value), value, x, y })));
  if (best.size <= 0) return "nowhere in particular";
  const third = (at, length) => Math.min(2, Math.floor((3 * (at + 0.5)) / length));
  const down = ["upper", "middle", "lower"][third(best.y, values.length)];
  const across = ["left", "centre", "right"][third(best.x, values[0].length)];
  const place = down === "middle" ? { left: "on the left", centre: "at the centre", right: "on the right" }[across] : `in the ${down} ${across === "centre" ? "part" : across}`;
  return `strongest ${place}, where it ${best.value > 0 ? "speaks for the concept" : "speaks against it"}`;
}

// The body of an intervention from what the controls say: a Map of concept to {factor} or {activation}.
export function interventionBody(changes, kept) {
  const body = { kept, set: [], scale: [], suppress: [] };
  for (const [concept, { factor, activation }] of changes) {
    if (!missing(activation)) body.set.push({ concept, activation });
    else if (factor === 0) body.suppress.push(concept);
    else if (factor !== 1) body.scale.push({ concept, factor });
  }
  return body;
}

export const isChange = (body) => body.set.length + body.scale.length + body.suppress.length > 0;
