// The request of a score job as code: curl, Python, and the command line.

/** @import { ModelConfiguration } from "../types.d.ts" */

const PREPROCESSING = ["input_size", "interpolation", "crop_mode", "mean", "std"];

/**
 * A word of a POSIX shell, quoted where that is needed.
 * @param {unknown} value
 */
export function shellWord(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * @param {string} origin of the service, as http://host:8000
 * @param {Record<string, unknown>} request
 */
export function curlSnippet(origin, request) {
  const body = shellWord(JSON.stringify(request, null, 2));
  const headers = `-H "Authorization: Bearer $IIS_API_KEY" -H "Content-Type: application/json"`;
  return `curl ${origin}/v1/jobs ${headers} -d ${body}`;
}

/**
 * A value as Python writes it.
 * @param {unknown} value
 * @returns {string}
 */
export function pythonLiteral(value) {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pythonLiteral(item)}`).join(", ")}}`;
  return JSON.stringify(value);
}

/**
 * @param {string} origin
 * @param {Record<string, unknown>} request
 */
export function pythonSnippet(origin, request) {
  const { kind: _kind, model, dataset, library, ...settings } = request;
  const named = Object.entries(settings).map(([name, value]) => `        ${name}=${pythonLiteral(value)},\n`);
  return `import os

from iis_client import IISClient

with IISClient("${origin}", os.environ["IIS_API_KEY"]) as client:
    job = client.score(
        ${pythonLiteral(model)},
        ${pythonLiteral(dataset)},
        ${pythonLiteral(library)},
${named.join("")}    )
    client.wait(job)
    print(client.result(job).report.verdict.sentence)
`;
}

/**
 * The command takes files; their digests are in comments. Null where the command line cannot express the request.
 * @param {Record<string, unknown>} request
 * @param {ModelConfiguration | null | undefined} model of the report's configuration
 * @param {string | null | undefined} imagesDigest
 */
export function commandSnippet(request, model, imagesDigest) {
  const library = /** @type {Record<string, unknown>} */ (request.library);
  if (!model?.architecture || library.id || request.library_dataset || request.vlm) return null;
  const elements = /** @type {Record<string, unknown>} */ (request.elements ?? {});
  /** @type {string[]} */
  const words = ["iis score CHECKPOINT", `--arch ${shellWord(model.architecture)}`];
  for (const [name, value] of Object.entries(model.arguments ?? {})) words.push(`--arg ${shellWord(`${name}=${argument(value)}`)}`);
  for (const name of PREPROCESSING) {
    const value = model.preprocessing?.[name];
    if (value !== undefined && value !== null) words.push(`--preprocess ${shellWord(`${name}=${argument(value)}`)}`);
  }
  if (model.layer) words.push(`--layer ${shellWord(model.layer)}`);
  if (model.pooling) words.push(`--pooling ${shellWord(model.pooling)}`);
  words.push("--data IMAGES");
  const parts = /** @type {{kind: string, concept_count: number}[] | undefined} */ (library.parts);
  if (parts) words.push(...parts.map((part) => `--part ${part.kind}:${part.concept_count}`));
  else words.push(`--library ${library.kind}`, `--concepts ${library.concept_count}`);
  if (elements.kind) words.push(`--elements ${elements.kind}`);
  if (Array.isArray(elements.scales)) words.push(`--scales ${elements.scales.join(",")}`);
  if (elements.images_per_class) words.push(`--images-per-class ${elements.images_per_class}`);
  if (request.protocol) words.push(`--protocol ${request.protocol}`);
  if (request.activations) words.push(`--activations ${request.activations}`);
  words.push(`--seed ${request.seed ?? 0}`, "--watch");
  const comments = [`# CHECKPOINT: weights with sha256 ${model.weights_sha256 ?? "unknown"}`, `# IMAGES: content with sha256 ${imagesDigest ?? "unknown"}`];
  return `${comments.join("\n")}\n${words.join(" \\\n  ")}\n`;
}

/** @param {unknown} value */
function argument(value) {
  const single = Array.isArray(value) && value.length === 2 && value[0] === value[1] ? value[0] : value; // a square size is one number
  return typeof single === "string" ? single : JSON.stringify(single);
}
