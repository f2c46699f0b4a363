// Builds what a page shows. Whatever the API says goes in as text, never as markup.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

export function loading(sentence) {
  return el("p", { class: "loading", role: "status" }, sentence);
}

export function empty(heading, ...sentences) {
  return el("div", { class: "empty" }, el("h2", {}, heading), sentences.map((sentence) => el("p", {}, sentence)));
}

export function problemView(error, again) {
  const request = error.requestId ? el("p", { class: "help" }, `Request ${error.requestId}`) : null;
  const button = again ? el("button", { type: "button", onclick: again }, "Try again") : null;
  return el("div", { class: "notice problem", role: "alert" }, el("p", {}, error.message), request, button);
}

const FINAL = [404, 409, 422]; // asking again gives the same answer

// Show that something is being read, then what was read, or why it could not be.
export async function fill(region, sentence, work) {
  const again = () => fill(region, sentence, work);
  region.setAttribute("aria-busy", "true");
  region.replaceChildren(loading(sentence));
  try {
    region.replaceChildren(...[await work()].flat());
  } catch (error) {
    region.replaceChildren(problemView(error, FINAL.includes(error.status) ? null : again));
  } finally {
    region.removeAttribute("aria-busy");
  }
}

// columns: [heading, row => cell, "number"?]
export function table(caption, columns, rows) {
  const head = columns.map(([heading, , kind]) => el("th", { scope: "col", class: kind }, heading));
  const body = rows.map((row) =>
    el("tr", {}, columns.map(([, cell, kind], index) => el(index ? "td" : "th", { class: kind, scope: index ? null : "row" }, cell(row)))),
  );
  const whole = el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body));
  return el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption }, whole);
}

export function say(sentence) {
  const region = byId("announcements");
  if (region && region.textContent !== sentence) region.textContent = sentence;
}
