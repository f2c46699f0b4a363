// Resumable uploads: hash the file, then send the missing parts in parallel.

import { get, parseProblem, request } from "./api.js";
import { FileProblem, ServiceUnreachable, asPageError } from "./errors.js";
import { sha256 } from "./sha256.js";

/** @import { Upload, UploadPart, UploadProgress } from "../types.d.ts" */

/**
 * @typedef {object} UploadOptions
 * @property {(progress: UploadProgress) => void} [onProgress]
 * @property {AbortSignal} [signal]
 * @property {number} [partBytes]
 */

/** @typedef {(number: number, bytes: number) => void} PartProgress */

const PART_BYTES = 16 * 1024 * 1024;
const MAX_PARTS = 10_000;
const PARALLEL_PARTS = 3;
const MAX_ATTEMPTS = 3;
const RETRY_PAUSE_MILLISECONDS = 1000;

/**
 * The parts of a file. They depend on its size alone, so that an interrupted upload can be resumed.
 * @param {number} sizeBytes
 * @param {number} [partBytes]
 * @returns {UploadPart[]}
 */
export function planParts(sizeBytes, partBytes = PART_BYTES) {
  const step = Math.max(partBytes, Math.ceil(sizeBytes / MAX_PARTS));
  const count = Math.ceil(sizeBytes / step);
  return Array.from({ length: count }, (_, index) => ({ number: index + 1, start: index * step, size: Math.min(step, sizeBytes - index * step) }));
}

/** @type {Map<string, Promise<Upload>>} */
const running = new Map(); // by digest and name

/**
 * Upload a file; returns the complete upload. While the same file is uploaded from another field, wait for that upload; where that one
 * fails or is removed, send it.
 * @param {File} file
 * @param {UploadOptions} [options]
 * @returns {Promise<Upload>}
 */
export async function uploadFile(file, { onProgress = () => {}, signal, partBytes = PART_BYTES } = {}) {
  if (!file.size) throw new FileProblem(`${file.name} is empty; choose another file.`);
  const digest = await hashFile(file, (done) => onProgress({ phase: "hashing", done, total: file.size }), signal);
  const key = `${digest} ${file.name}`;
  for (let other = running.get(key); other; other = running.get(key)) {
    onProgress({ phase: "joining", done: file.size, total: file.size });
    const upload = await other.catch(() => null);
    signal?.throwIfAborted();
    if (upload) return upload;
  }
  const own = sendFile(file, digest, { onProgress, signal, partBytes }).finally(() => running.delete(key));
  running.set(key, own);
  return own;
}

/**
 * @param {File} file
 * @param {string} digest
 * @param {Required<Pick<UploadOptions, "onProgress" | "partBytes">> & UploadOptions} options
 * @returns {Promise<Upload>}
 */
async function sendFile(file, digest, { onProgress, signal, partBytes }) {
  const parts = planParts(file.size, partBytes);
  const upload = await openUpload({ filename: file.name, size_bytes: file.size, sha256: digest }, parts, signal);
  if (upload.state === "complete") return upload;
  const received = new Set(upload.parts.map((part) => part.number));
  const sentBytes = new Map(upload.parts.map((part) => [part.number, part.size_bytes]));
  /** @type {PartProgress} */
  const onPart = (number, bytes) => {
    sentBytes.set(number, bytes);
    onProgress({ phase: "sending", done: [...sentBytes.values()].reduce((sum, size) => sum + size, 0), total: file.size });
  };
  const missing = parts.filter((part) => !received.has(part.number));
  const failure = new AbortController(); // stops all senders when one fails
  const stop = AbortSignal.any([failure.signal, ...(signal ? [signal] : [])]);
  const sendMissing = async () => {
    for (let part = missing.shift(); part; part = missing.shift()) await sendPart(upload, file, part, onPart, stop);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL_PARTS }, sendMissing));
  } finally {
    failure.abort();
  }
  onProgress({ phase: "joining", done: file.size, total: file.size });
  return (await request("POST", upload.links.complete, { signal })).json();
}

/**
 * The file's SHA-256, computed in a web worker.
 * @param {File} file
 * @param {(done: number) => void} onDone
 * @param {AbortSignal} [signal]
 * @returns {Promise<string>}
 */
function hashFile(file, onDone, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("hash_worker.js", import.meta.url), { type: "module" });
    /** @param {Error} error */
    const fail = (error) => {
      worker.terminate();
      reject(error);
    };
    signal?.addEventListener("abort", () => fail(signal.reason));
    worker.addEventListener("error", () => fail(new FileProblem(`${file.name} could not be hashed in this browser.`)));
    worker.addEventListener("message", ({ data }) => {
      if (data.problem) fail(new FileProblem(data.problem));
      else if (data.digest) {
        worker.terminate();
        resolve(data.digest);
      } else onDone(data.done);
    });
    worker.postMessage(file);
  });
}

/**
 * The open upload of an earlier attempt with the same content, or a new one. The Idempotency-Key is derived from the content.
 * @param {{filename: string, size_bytes: number, sha256: string}} declared
 * @param {UploadPart[]} parts
 * @param {AbortSignal} [signal]
 * @returns {Promise<Upload>}
 */
async function openUpload(declared, parts, signal) {
  const key = sha256(`upload ${declared.sha256} ${declared.size_bytes} ${declared.filename}`);
  const response = await request("POST", "/v1/uploads", { json: declared, headers: { "Idempotency-Key": key }, signal });
  /** @type {Upload} */
  const upload = await response.json();
  if (!response.headers.has("Idempotency-Replayed")) return upload;
  try {
    /** @type {Upload} */
    const earlier = await get(`/v1/uploads/${upload.id}`, { signal });
    const samePlan = earlier.parts.every((part) => parts[part.number - 1]?.size === part.size_bytes);
    if (earlier.state === "complete" || samePlan) return earlier;
    await request("DELETE", earlier.links.self, { signal });
  } catch (error) {
    if (![404, 409].includes(asPageError(error).status)) throw error; // the earlier upload has expired
  }
  return (await request("POST", "/v1/uploads", { json: declared, signal })).json();
}

/**
 * Send one part; retry when the connection or the service fails.
 * @param {Upload} upload
 * @param {File} file
 * @param {UploadPart} part
 * @param {PartProgress} onPart
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
async function sendPart(upload, file, part, onPart, signal) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await putPart(upload, file.slice(part.start, part.start + part.size), part.number, onPart, signal);
    } catch (error) {
      onPart(part.number, 0);
      const temporary = error instanceof ServiceUnreachable || asPageError(error).status >= 500;
      if (!temporary || attempt === MAX_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, attempt * RETRY_PAUSE_MILLISECONDS));
      signal.throwIfAborted();
    }
  }
}

/**
 * PUT by XMLHttpRequest, because fetch does not report upload progress.
 * @param {Upload} upload
 * @param {Blob} content
 * @param {number} number
 * @param {PartProgress} onPart
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
function putPart(upload, content, number, onPart, signal) {
  return new Promise((resolve, reject) => {
    const put = new XMLHttpRequest();
    const abort = () => put.abort();
    signal.addEventListener("abort", abort);
    put.open("PUT", upload.links.parts.replace("{number}", String(number)));
    put.setRequestHeader("X-IIS-Page", "1");
    put.setRequestHeader("Content-Type", "application/octet-stream");
    put.upload.addEventListener("progress", (event) => onPart(number, event.loaded));
    put.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    put.addEventListener("abort", () => reject(signal.reason));
    put.addEventListener("error", () => reject(new ServiceUnreachable()));
    put.addEventListener("load", () => {
      if (put.status >= 300) {
        reject(parseProblem(put.status, put.responseText, null));
        return;
      }
      onPart(number, content.size);
      resolve();
    });
    put.send(content);
  });
}
