// Web worker that hashes a file: posts {done} in bytes while it runs, then {digest} or {problem}.

import { Sha256 } from "./sha256.js";

const CHUNK_BYTES = 4 * 1024 * 1024;

self.addEventListener("message", async (/** @type {MessageEvent<File>} */ { data: file }) => {
  const hash = new Sha256();
  try {
    for (let start = 0; start < file.size; start += CHUNK_BYTES) {
      hash.update(new Uint8Array(await file.slice(start, start + CHUNK_BYTES).arrayBuffer()));
      self.postMessage({ done: Math.min(start + CHUNK_BYTES, file.size) });
    }
    self.postMessage({ digest: hash.hex() });
  } catch {
    self.postMessage({ problem: `${file.name} could not be read; it may have been moved or changed. Choose it again.` });
  }
});
