// How numbers, times, states and a report are said.

export const FINISHED = ["succeeded", "failed", "canceled"];

const STATES = {
  queued: ["○", "queued"],
  running: ["◐", "running"],
  canceling: ["◐", "canceling"],
  succeeded: ["●", "finished"],
  failed: ["✕", "failed"],
  canceled: ["–", "canceled"],
  pending: ["○", "being checked"],
  ready: ["●", "ready"],
};

const STAGES = {
  materialise: "Fetching checkpoint and images",
  extract: "Running the network over the images",
  embed_images: "Showing the images to the vision-language model",
  embed_phrases: "Reading the phrases",
  embed_classes: "Reading the class names",
  libraries: "Fitting the concepts",
  name: "Naming the concepts",
  control: "Measuring random directions",
  heads: "Fitting a head at every sparsity",
  curve: "Measuring the curve",
  explain: "Finding images that show each concept",
  report: "Writing the report",
  finetune: "Training",
  evaluate: "Scoring what was trained",
  compare: "Comparing the arms",
};

const LIBRARIES = {
  prototype: "prototypes",
  cluster: "clusters",
  end2end: "concepts trained end to end",
  text: "phrases",
  random: "random directions",
  combined: "several libraries joined",
};

const REASONS = {
  too_long: "too long",
  class_name: "names a class",
  repeated: "repeated",
  near_class: "close to a class name",
  near_phrase: "close to another phrase",
  clip_cutoff: "no image shows it (below the clip cutoff)",
  interpretability_cutoff: "the network is blind to it (below the interpretability cutoff)",
  beyond_count: "beyond the count asked for",
};

export const stateMark = (state) => (STATES[state] ?? ["·", state])[0];
export const stateWord = (state) => (STATES[state] ?? ["·", state])[1];
export const stageWords = (stage, part) => (STAGES[stage] ?? stage.replaceAll("_", " ")) + (part ? `: ${part}` : "");
export const reasonWords = (reason) => REASONS[reason] ?? reason.replaceAll("_", " ");

export function libraryWords(library) {
  if (library.id) return "an earlier job's concepts";
  if (library.parts?.length) return library.parts.map((part) => `${part.concept_count} ${LIBRARIES[part.kind] ?? part.kind}`).join(" and ");
  const count = library.kind === "text" ? `up to ${library.concept_count}` : library.concept_count;
  return `${count} ${LIBRARIES[library.kind] ?? library.kind}`;
}

// What a job is about: the concepts that a score reads through or a training goes by, or the images that a batch explains.
export function jobWords(job) {
  if (job.kind === "explain") return job.split ? `explanations of the ${job.split} images` : "explanations of an archive";
  if (job.kind === "finetune") return `fine-tuned by ${libraryWords(job.library)}, λ = ${job.lambda}`;
  return libraryWords(job.library);
}

export const missing = (value) => value === null || value === undefined;
const ZERO = /^-?[0.]+$/; // what rounds to it has no sign
const rounded = (value, digits) => value.toFixed(digits).replace(ZERO, (zero) => zero.replace("-", "")).replace("-", "−");
export const number = (value, digits = 3) => (missing(value) ? "–" : rounded(value, digits));
export const signed = (value, digits = 3) => (value > 0 && !ZERO.test(value.toFixed(digits)) ? "+" : "") + number(value, digits);
export const share = (value) => (missing(value) ? "–" : `${(100 * value).toFixed(1)}\u202f%`);
export const interval = (low, high) => (missing(low) || missing(high) ? "" : `${number(low)} to ${number(high)}`);
export const shareInterval = (low, high) => (missing(low) || missing(high) ? "" : `${share(low)} to ${share(high)}`);
export const halfWidth = (low, high) => (missing(low) || missing(high) ? "" : `± ${number((high - low) / 2)}`);
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export function bytes(count) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = count < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}

export function duration(seconds) {
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return counted(Math.round(seconds), "second");
  if (seconds < 5400) return counted(Math.round(seconds / 60), "minute");
  return counted(Math.round(seconds / 3600), "hour");
}

export function when(text) {
  if (!text) return "";
  return new Date(text).toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export function progressWords({ stage, part, done, total, eta_seconds: eta }) {
  const count = total > 1 ? `, ${done.toLocaleString("en")} of ${total.toLocaleString("en")}` : "";
  return stageWords(stage, part) + count + (missing(eta) || eta < 1 ? "" : `, about ${duration(eta)} left in this stage`);
}

// What a report says, one sentence each.
export function reportSentences(report) {
  const said = [];
  if (missing(report.iis)) {
    said.push("There is no score: the representation's own accuracy is no better than chance, so there is nothing that concepts could retain.");
    return said;
  }
  said.push(
    `Averaged over all sparsities, a head that sees only the kept concepts retains ${share(report.iis)} of the accuracy of a head that sees the whole representation (${share(report.accuracy_representation)}).`,
  );
  if (!missing(report.iis_random_mean)) {
    said.push(`As many random directions in place of concepts retain ${share(report.iis_random_mean)}. That is the control: what any directions would give.`);
  }
  if (!missing(report.concept_gain)) said.push(gainSentence(report));
  return said;
}

function gainSentence({ concept_gain: gain, concept_gain_low: low, concept_gain_high: high }) {
  const size = number(Math.abs(gain));
  if (missing(low) || missing(high)) return `The concepts are ${size} ${gain >= 0 ? "above" : "below"} random directions.`;
  if (low > 0) return `The concepts retain more than random directions do, by ${size}, and the interval keeps clear of zero: these concepts carry meaning of their own.`;
  if (high < 0) return `The concepts retain less than random directions do, by ${size}, and the interval keeps clear of zero: the score owes nothing to these concepts.`;
  return `The difference to random directions is ${signed(gain)}, and its interval includes zero: these concepts cannot be told from random directions.`;
}
