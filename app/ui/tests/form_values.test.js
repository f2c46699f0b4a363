// Parsing of form texts, and assignment of validation errors to fields.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FormProblem, enclosingParams, toFormProblem } from "../static/field_problems.js";
import { filledFields, parseArguments, parseNames, parseNumber, parseNumbers } from "../static/form_values.js";

test("a text that is not a number is passed on as it is", () => {
  assert.equal(parseNumber("0.25"), 0.25);
  assert.equal(parseNumber("many"), "many");
  assert.equal(parseNumber(""), undefined);
});

test("lists of numbers are separated by commas, semicolons or spaces", () => {
  assert.deepEqual(parseNumbers("0.485, 0.456;0.406 x"), [0.485, 0.456, 0.406, "x"]);
  assert.equal(parseNumbers(""), undefined);
});

test("names are separated by commas", () => {
  assert.deepEqual(parseNames("blocks.3, blocks.7,,"), ["blocks.3", "blocks.7"]);
  assert.deepEqual(parseNames(""), []);
});

test("arguments are JSON where possible, otherwise strings", () => {
  const text = 'num_classes=10\n\n pad_type = same \nsizes=[1, 2]\nname="a=b"';
  const values = { num_classes: 10, pad_type: "same", sizes: [1, 2], name: "a=b" };
  assert.deepEqual(parseArguments(text), { values, invalidLine: null });
});

test("the first line that is not name=value is reported", () => {
  assert.equal(parseArguments("a=1\nnonsense\n=2").invalidLine, "nonsense");
  assert.equal(parseArguments("=2").invalidLine, "=2");
});

test("fields without a value are left out; zero and false are values", () => {
  assert.deepEqual(filledFields({ a: "", b: undefined, c: 0, d: false }), { c: 0, d: false });
});

test("an error belongs to its parameter, then to those that enclose it", () => {
  assert.deepEqual(enclosingParams("model.preprocessing.mean.0"), [
    "model.preprocessing.mean.0",
    "model.preprocessing.mean",
    "model.preprocessing",
    "model",
  ]);
  assert.deepEqual(enclosingParams(""), []);
});

test("parameters of a request get its prefix; errors of the whole body get the prefix alone", () => {
  const errors = [{ param: "mean.0", message: "one" }, { param: "body", message: "two" }];
  const problem = toFormProblem("model", { message: "Two errors.", errors, requestId: "req_1" });
  assert.ok(problem instanceof FormProblem);
  assert.deepEqual(problem.errors, [{ param: "model.mean.0", message: "one" }, { param: "model", message: "two" }]);
  assert.equal(problem.requestId, "req_1");
});

test("an error without fields belongs to the whole request", () => {
  assert.deepEqual(toFormProblem("job", { message: "Not now." }).errors, [{ param: "job", message: "Not now." }]);
});
