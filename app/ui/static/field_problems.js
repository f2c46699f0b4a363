// Refusals of the API at the fields they are about: a field says in data-param which one it is, as `model.preprocessing.mean`.

import { byId, el, problemView } from "./dom.js";

export class Refused extends Error {
  // entries: [{param, message}]
  constructor(message, entries) {
    super(message);
    this.entries = entries;
  }
}

// What the API said about a request whose fields are named `prefix.…` on this page.
export function refused(prefix, error) {
  const entries = (error.errors?.length ? error.errors : [{ param: "", message: error.message }]).map(({ param, message }) => ({
    param: param && param !== "body" ? `${prefix}.${param}` : prefix,
    message,
  }));
  const made = new Refused(error.message, entries);
  made.requestId = error.requestId;
  return made;
}

export function clearProblems(form) {
  for (const said of form.querySelectorAll(".field-problem.said")) said.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  byId("problem").replaceChildren();
}

// The field itself, else the nearest that encloses it: model.preprocessing.mean.0 is shown at model.preprocessing.mean.
function fieldOf(form, param) {
  for (let name = param; name; name = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "") {
    const found = form.querySelector(`[data-param="${CSS.escape(name)}"]`);
    if (found && !found.closest("[hidden]")) return found;
  }
  return null;
}

export function showProblems(form, error) {
  const homeless = [];
  let first = null;
  for (const { param, message } of error.entries ?? [{ param: "", message: error.message }]) {
    const field = fieldOf(form, param);
    if (!field) {
      homeless.push(message);
      continue;
    }
    const input = field.matches("input, select, textarea") ? field : field.querySelector("input");
    const id = `problem-${input.id}`;
    field.closest("details")?.setAttribute("open", "");
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", id);
    field.after(el("p", { class: "field-problem said", id, role: "alert" }, message));
    first ??= input;
  }
  if (homeless.length) {
    const shown = new Error(homeless.join(" "));
    shown.requestId = error.requestId;
    byId("problem").replaceChildren(problemView(shown));
    first ??= byId("problem");
  }
  first?.focus?.();
  first?.scrollIntoView({ block: "center" });
}
