// Validation errors beside the form fields that they concern. A field has its parameter in data-param, as model.preprocessing.mean.

import { byId, el, errorNotice } from "./dom.js";
import { PageError, asPageError } from "./errors.js";

/** @import { FieldError } from "../types.d.ts" */

/** Errors of one or more form fields. */
export class FormProblem extends PageError {
  /**
   * @param {string} message
   * @param {FieldError[]} errors
   */
  constructor(message, errors) {
    super(message);
    this.errors = errors;
  }
}

/**
 * A failed request as a FormProblem, for a form whose fields of this request have the parameters `prefix.…`.
 * @param {string} prefix
 * @param {{message: string, errors?: FieldError[], requestId?: string | null}} error
 * @returns {FormProblem}
 */
export function toFormProblem(prefix, { message, errors, requestId = null }) {
  const fields = (errors?.length ? errors : [{ param: "", message }]).map((field) => ({
    param: field.param && field.param !== "body" ? `${prefix}.${field.param}` : prefix,
    message: field.message,
  }));
  const problem = new FormProblem(message, fields);
  problem.requestId = requestId;
  return problem;
}

/**
 * A parameter and all that enclose it: a.b.0 gives a.b.0, a.b and a.
 * @param {string} param
 * @returns {string[]}
 */
export function enclosingParams(param) {
  const parts = param ? param.split(".") : [];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join("."));
}

/** @param {HTMLFormElement} form */
export function clearProblems(form) {
  for (const message of form.querySelectorAll(".field-problem.from-api")) message.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  byId("problem").replaceChildren();
}

/**
 * The visible field of a parameter, or of the nearest parameter that encloses it.
 * @param {HTMLFormElement} form
 * @param {string} param
 */
function findField(form, param) {
  for (const name of enclosingParams(param)) {
    const field = form.querySelector(`[data-param="${CSS.escape(name)}"]`);
    if (field && !field.closest("[hidden]")) return field;
  }
  return null;
}

/**
 * Show each error at its field; errors without a visible field are shown above the button.
 * @param {HTMLFormElement} form
 * @param {unknown} problem
 */
export function showProblems(form, problem) {
  const error = asPageError(problem);
  const general = [];
  /** @type {HTMLElement | null} */
  let first = null;
  for (const { param, message } of error instanceof FormProblem ? error.errors : [{ param: "", message: error.message }]) {
    const field = findField(form, param);
    const input = field?.matches("input, select, textarea") ? field : field?.querySelector("input");
    if (!field || !(input instanceof HTMLElement)) {
      general.push(message);
      continue;
    }
    const id = `problem-${input.id}`;
    field.closest("details")?.setAttribute("open", "");
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
    field.after(el("p", { class: "field-problem from-api", id, role: "alert" }, message));
    first ??= input;
  }
  if (general.length) {
    const combined = new PageError(general.join(" "));
    combined.requestId = error.requestId;
    byId("problem").replaceChildren(errorNotice(combined));
    first ??= byId("problem");
  }
  first?.focus();
  first?.scrollIntoView({ block: "center" });
}
