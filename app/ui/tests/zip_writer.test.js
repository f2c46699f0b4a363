// Zip archives: the checksum of a known text, and the bytes of an archive.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { crc32, zipOf } from "../static/zip_writer.js";

const bytes = (text) => new TextEncoder().encode(text);

test("the checksum is CRC-32", () => {
  assert.equal(crc32(bytes("123456789")), 0xcbf43926); // the check value of CRC-32/ISO-HDLC
});

test("another reader finds every file of an archive with its content", async () => {
  const archive = zipOf([
    { name: "image 3.json", content: bytes('{"kept": 3}') },
    { name: "größe.txt", content: bytes("") },
  ]);
  const path = join(mkdtempSync(join(tmpdir(), "zip-")), "a.zip");
  writeFileSync(path, new Uint8Array(await archive.arrayBuffer()));
  const script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), [(n, z.read(n).decode()) for n in z.namelist()])";
  const found = execFileSync("python3", ["-c", script, path], { env: { ...process.env, PYTHONIOENCODING: "utf-8" } }).toString();
  assert.equal(found.trim(), `None [('image 3.json', '{"kept": 3}'), ('größe.txt', '')]`);
});
