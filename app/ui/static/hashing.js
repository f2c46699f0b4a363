// A worker that hashes a file beside the page: sends {done} as it goes, then {digest}, or {problem}.

import { Sha256 } from "./sha256.js";

const PIECE_BYTES = 4 * 1024 * 1024;

self.addEventListener("message", async ({ data: file }) => {
  const hash = new Sha256();
  try {
    for (let at = 0; at < file.size; at += PIECE_BYTES) {
      hash.update(new Uint8Array(await file.slice(at, at + PIECE_BYTES).arrayBuffer()));
      self.postMessage({ done: Math.min(at + PIECE_BYTES, file.size) });
    }
    self.postMessage({ digest: hash.hex() });
  } catch {
    self.postMessage({ problem: `${file.name} could not be read; it may have been moved or changed. Choose it again.` });
  }
});
