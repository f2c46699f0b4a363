// Builds what a page shows. Whatever the API says goes in as text, never as markup, and steers nothing around it.

const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;

// Names come from strangers: what no one would see, or what turns the direction of writing, is written out as its number.
export function legible(text) {
  return text.replace(UNSEEN, (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

function written(child) {
  if (typeof child !== "string") return child;
  const text = legible(child);
  if (!RIGHT_TO_LEFT.test(text)) return text;
  const isolated = document.createElement("bdi");
  isolated.append(text);
  return isolated;
}

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false).map(written));
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children.map((child) => (typeof child === "string" ? legible(child) : child)));
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

const latest = new WeakMap(); // by region, what it was asked to show last: an answer that comes late does not take its place

// Show that something is being read, then what was read, or why it could not be.
export async function fill(region, sentence, work) {
  const again = () => fill(region, sentence, work);
  latest.set(region, again);
  region.setAttribute("aria-busy", "true");
  region.replaceChildren(loading(sentence));
  let nodes;
  try {
    nodes = [await work()].flat();
  } catch (error) {
    nodes = [problemView(error, FINAL.includes(error.status) ? null : again)];
  }
  if (latest.get(region) !== again) return;
  region.replaceChildren(...nodes);
  region.removeAttribute("aria-busy");
}

// Show the same anew, once it is read; until then, and where it cannot be read, what was there stays, and the reader where they were.
export async function renew(region, sentence, work) {
  if (!region.childElementCount || region.hasAttribute("aria-busy")) return fill(region, sentence, work);
  const again = () => renew(region, sentence, work);
  latest.set(region, again);
  const change = await work().then(
    (nodes) => () => region.replaceChildren(...[nodes].flat()),
    (error) => () => {
      region.querySelector(":scope > [role=alert]")?.remove();
      region.prepend(problemView(error, FINAL.includes(error.status) ? null : again));
    },
  );
  if (latest.get(region) === again) keepPlace(region, change);
}

// The element that has the focus is found again among the new ones by where it leads, what it is called, or what it says.
function keepPlace(region, change) {
  const frames = () => [...region.querySelectorAll(".table-frame")];
  const scrolled = new Map(frames().map((frame) => [frame.getAttribute("aria-label"), frame.scrollLeft]));
  const told = (node) => `${node.tagName} ${node.getAttribute("href") ?? node.getAttribute("aria-label") ?? node.textContent}`;
  const held = region.contains(document.activeElement) ? told(document.activeElement) : null;
  change();
  for (const frame of frames()) frame.scrollLeft = scrolled.get(frame.getAttribute("aria-label")) ?? 0;
  if (held) [...region.querySelectorAll("a, button, [tabindex]")].find((node) => told(node) === held)?.focus({ preventScroll: true });
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
