// SHA-256: published test vectors, and Node's implementation for every length around the block size.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { Sha256, sha256 } from "../static/sha256.js";

test("published vectors of FIPS 180-4", () => {
  assert.equal(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const twoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  assert.equal(sha256(twoBlocks), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
});

for (const chunkBytes of [1, 63, 64, 65, 1_000_000]) {
  test(`contents in chunks of ${chunkBytes} bytes have the digest of the whole`, () => {
    for (const length of [...Array(132).keys(), 4096, 70_001]) {
      const content = Uint8Array.from({ length }, (_, index) => (index * 151 + length) % 256);
      const hash = new Sha256();
      for (let start = 0; start < length; start += chunkBytes) hash.update(content.subarray(start, start + chunkBytes));
      assert.equal(hash.hex(), createHash("sha256").update(content).digest("hex"), `${length} bytes`);
    }
  });
}
