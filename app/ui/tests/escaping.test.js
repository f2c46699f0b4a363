// Escaping of invisible characters and of markup in labels; errors of the API.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiProblem, asPageError } from "../static/errors.js";
import { escapeInvisible, escapeLabel } from "../static/escaping.js";

test("control characters and direction marks are written as code points", () => {
  assert.equal(escapeInvisible("\u202eevil\u2066gnp.exe"), "⟨U+202E⟩evil⟨U+2066⟩gnp.exe");
  assert.equal(escapeInvisible("\u001b[2J\u0007bell"), "⟨U+001B⟩[2J⟨U+0007⟩bell");
});

test("ordinary text stays, with line breaks, accents and other scripts", () => {
  assert.equal(escapeInvisible("é\n\tשלום 🙂"), "é\n\tשלום 🙂");
});

test("labels contain no markup", () => {
  assert.equal(escapeLabel("<b>&"), "&lt;b&gt;&amp;");
});

test("a problem document becomes an error with its fields", () => {
  const errors = [{ param: "name", message: "too long" }];
  const error = new ApiProblem(422, { detail: "Invalid.", code: "validation", errors, request_id: "req_1" }, 3);
  assert.deepEqual([error.message, error.status, error.code, error.errors, error.requestId, error.retryAfterSeconds], ["Invalid.", 422, "validation", errors, "req_1", 3]);
  assert.equal(asPageError(error), error);
});

test("any thrown value becomes an error with a message", () => {
  assert.equal(asPageError(new TypeError("wrong")).message, "wrong");
  assert.equal(asPageError("text").message, "text");
  assert.equal(asPageError(null).status, 0);
});
