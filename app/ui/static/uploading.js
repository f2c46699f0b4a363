// A file into the service: hashed first, sent in parts side by side, and only the parts that are not there yet.

import { Unreachable, get, refusal, request } from "./api.js";
import { sha256 } from "./sha256.js";

const PART_BYTES = 16 * 1024 * 1024;
const MAX_PARTS = 10_000;
const PARALLEL_PARTS = 3;
const ATTEMPTS = 3;
const PAUSE_MILLISECONDS = 1000;

export class FileProblem extends Error {}

// Always the same cut for the same size, so that a later attempt fits what an earlier one sent.
export function planParts(sizeBytes, partBytes = PART_BYTES) {
  const step = Math.max(partBytes, Math.ceil(sizeBytes / MAX_PARTS));
  const count = Math.ceil(sizeBytes / step);
  return Array.from({ length: count }, (_, index) => ({ number: index + 1, start: index * step, size: Math.min(step, sizeBytes - index * step) }));
}

// onProgress({doing: "hashing" | "sending" | "joining", done, total}); answers with the complete upload.
export async function sendFile(file, { onProgress = () => {}, signal, partBytes = PART_BYTES } = {}) {
  if (!file.size) throw new FileProblem(`${file.name} is empty; choose a file with content.`);
  const digest = await hashed(file, (done) => onProgress({ doing: "hashing", done, total: file.size }), signal);
  const parts = planParts(file.size, partBytes);
  const upload = await opened({ filename: file.name, size_bytes: file.size, sha256: digest }, parts, signal);
  if (upload.state === "complete") return upload;
  const there = new Set(upload.parts.map((part) => part.number));
  const sent = new Map(upload.parts.map((part) => [part.number, part.size_bytes]));
  const tell = (number, bytes) => {
    sent.set(number, bytes);
    onProgress({ doing: "sending", done: [...sent.values()].reduce((sum, one) => sum + one, 0), total: file.size });
  };
  const missing = parts.filter((part) => !there.has(part.number));
  const failed = new AbortController(); // of one sender, so that the others stop too
  const until = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
  const sender = async () => {
    for (let part = missing.shift(); part; part = missing.shift()) await sendPart(upload, file, part, tell, until);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL_PARTS }, sender));
  } finally {
    failed.abort();
  }
  onProgress({ doing: "joining", done: file.size, total: file.size });
  return (await request("POST", upload.links.complete, { signal })).json();
}

function hashed(file, onDone, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("hashing.js", import.meta.url), { type: "module" });
    const end = (settle, value) => {
      worker.terminate();
      settle(value);
    };
    signal?.addEventListener("abort", () => end(reject, signal.reason));
    worker.addEventListener("error", () => end(reject, new FileProblem(`${file.name} could not be hashed in this browser.`)));
    worker.addEventListener("message", ({ data }) => {
      if (data.digest) end(resolve, data.digest);
      else if (data.problem) end(reject, new FileProblem(data.problem));
      else onDone(data.done);
    });
    worker.postMessage(file);
  });
}

// The upload that an earlier attempt with the same content left open, or a new one: its Idempotency-Key is made of the content.
async function opened(declared, parts, signal) {
  const key = sha256(`upload ${declared.sha256} ${declared.size_bytes} ${declared.filename}`);
  const response = await request("POST", "/v1/uploads", { json: declared, headers: { "Idempotency-Key": key }, signal });
  const upload = await response.json();
  if (!response.headers.has("Idempotency-Replayed")) return upload;
  try {
    const earlier = await get(`/v1/uploads/${upload.id}`, { signal });
    if (earlier.state === "complete" || earlier.parts.every((part) => parts[part.number - 1]?.size === part.size_bytes)) return earlier;
    await request("DELETE", earlier.links.self, { signal });
  } catch (error) {
    if (error.status !== 404 && error.status !== 409) throw error; // otherwise it has expired in the meantime
  }
  return (await request("POST", "/v1/uploads", { json: declared, signal })).json();
}

async function sendPart(upload, file, part, tell, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await putPart(upload, file.slice(part.start, part.start + part.size), part.number, tell, signal);
    } catch (error) {
      tell(part.number, 0);
      const passing = error.status === 0 || error.status >= 500;
      if (!passing || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, attempt * PAUSE_MILLISECONDS));
      signal.throwIfAborted();
    }
  }
}

// By XMLHttpRequest, since fetch does not tell how much of a body has left.
function putPart(upload, content, number, tell, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const abort = () => sending.abort();
    signal.addEventListener("abort", abort);
    sending.open("PUT", upload.links.parts.replace("{number}", number));
    sending.setRequestHeader("X-IIS-Page", "1");
    sending.setRequestHeader("Content-Type", "application/octet-stream");
    sending.upload.addEventListener("progress", (event) => tell(number, event.loaded));
    sending.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    sending.addEventListener("abort", () => reject(signal.reason));
    sending.addEventListener("error", () => reject(new Unreachable()));
    sending.addEventListener("load", async () => {
      if (sending.status >= 300) return reject(await refusal(sending.status, sending.responseText, null));
      tell(number, content.size);
      resolve();
    });
    sending.send(content);
  });
}
