// Pictures and downloads on the page of a share link, from a server that refuses first.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { ServiceUnreachable } from "../static/errors.js";
import { sharedElement, showPicture } from "../static/share_access.js";

test("a picture is fetched again after 429 and 503, and missing after another status", async () => {
  /** @type {Record<string, number[]>} */
  const statuses = { "/busy": [429, 503, 200], "/absent": [404, 200] };
  const server = createServer((asked, answer) => {
    answer.writeHead(statuses[String(asked.url)].shift() ?? 500, { "Retry-After": "0.01" }).end("{}");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(null)));
  const at = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  /** @type {string[]} */
  const seen = [];
  const image = /** @type {HTMLElement} */ (
    /** @type {unknown} */ ({
      setAttribute: (/** @type {string} */ _, /** @type {string} */ source) => seen.push(source.split(":")[0]),
      classList: { add: (/** @type {string} */ name) => seen.push(name) },
    })
  );
  await showPicture(image, `${at}/busy`);
  await showPicture(image, `${at}/absent`);
  server.close();
  server.closeAllConnections();
  assert.deepEqual(seen, ["blob", "missing"]);
});

test("a download that fails is reported at its button", async () => {
  /** @type {unknown[][]} */
  const reported = [];
  const button = {};
  const [name, attributes] = sharedElement("a", { href: "/v1/jobs/job_1/curves" }, (...given) => reported.push(given));
  assert.equal(name, "button");
  await /** @type {(event: unknown) => Promise<void>} */ (attributes.onclick)({ currentTarget: button }); // no address without a page
  assert.deepEqual(reported.map(([at, error]) => [at === button, error instanceof ServiceUnreachable]), [[true, true]]);
});
