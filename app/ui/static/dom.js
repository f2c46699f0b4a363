// Elements of the pages: construction, loading and error states, tables, announcements. All text is inserted as text, never as markup.

import { asPageError } from "./errors.js";
import { escapeInvisible } from "./escaping.js";
import { isShared, sharedElement, showPicture } from "./share_access.js";

/** @import { Child, Column } from "../types.d.ts" */

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/u;
const PERMANENT_STATUSES = [404, 409, 422]; // a repeated request has the same outcome

/**
 * Text with invisible characters escaped; right-to-left text is isolated from its surroundings.
 * @param {string} content
 * @returns {string | HTMLElement}
 */
function textNode(content) {
  const text = escapeInvisible(content);
  if (!RIGHT_TO_LEFT.test(text)) return text;
  const isolated = document.createElement("bdi");
  isolated.append(text);
  return isolated;
}

/**
 * @param {readonly Child[]} children
 * @returns {(string | Node)[]}
 */
function flatten(children) {
  return children.flatMap((child) => {
    if (child === null || child === undefined || child === false) return [];
    if (child instanceof Node) return [child];
    if (typeof child === "object") return flatten(child);
    return [textNode(String(child))];
  });
}

/**
 * An HTML element. Attributes that start with "on" are event listeners; null, undefined and false leave an attribute out.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, unknown>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function el(name, attributes = {}, ...children) {
  const [made, given] = isShared() ? sharedElement(name, attributes, showOutcome) : [name, attributes];
  const node = document.createElement(made);
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
    else if (key === "src" && isShared()) showPicture(node, String(value));
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  node.append(...flatten(children));
  return /** @type {HTMLElementTagNameMap[Name]} */ (node);
}

/**
 * An SVG element.
 * @template {keyof SVGElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number>} [attributes]
 * @returns {SVGElementTagNameMap[Name]}
 */
export function svg(name, attributes = {}) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

/**
 * The element with this id; throws where the page has none.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`The page has no element #${id}.`);
  return node;
}

/** @param {string} id */
export const inputById = (id) => /** @type {HTMLInputElement} */ (byId(id));

/** @param {string} id */
export const selectById = (id) => /** @type {HTMLSelectElement} */ (byId(id));

/** @param {string} id */
export const buttonById = (id) => /** @type {HTMLButtonElement} */ (byId(id));

/**
 * @param {string} heading
 * @param {...string} sentences
 */
export function emptyState(heading, ...sentences) {
  return el("div", { class: "empty-state" }, el("h2", {}, heading), sentences.map((sentence) => el("p", {}, sentence)));
}

/**
 * An error message with its request id and, where `retry` is given, a button.
 * @param {unknown} error
 * @param {(() => unknown) | null} [retry]
 */
export function errorNotice(error, retry) {
  const { message, requestId } = asPageError(error);
  const request = requestId ? el("p", { class: "help" }, `Request ${requestId}`) : null;
  const button = retry ? el("button", { type: "button", onclick: retry }, "Try again") : null;
  return el("div", { class: "notice error", role: "alert" }, el("p", {}, message), request, button);
}

/**
 * Show after a button why its download failed; remove the message of an earlier failure.
 * @param {HTMLElement} button
 * @param {unknown} error
 */
function showOutcome(button, error) {
  const next = button.nextElementSibling;
  if (next?.matches(".notice.error")) next.remove();
  if (error !== null) button.after(errorNotice(error));
}

/**
 * @param {unknown} error
 * @param {() => unknown} retry
 */
function loadingError(error, retry) {
  return errorNotice(error, PERMANENT_STATUSES.includes(asPageError(error).status) ? null : retry);
}

/** @type {WeakMap<HTMLElement, () => unknown>} */
const latestLoads = new WeakMap(); // by region; the result of an earlier load is discarded

/**
 * Show a loading message in a region, then the loaded content or the error.
 * @param {HTMLElement} region
 * @param {string} message
 * @param {() => Child | Promise<Child>} load
 */
export async function loadInto(region, message, load) {
  const retry = () => loadInto(region, message, load);
  latestLoads.set(region, retry);
  region.setAttribute("aria-busy", "true");
  region.replaceChildren(el("p", { class: "loading", role: "status" }, message));
  let nodes;
  try {
    nodes = flatten([await load()]);
  } catch (error) {
    nodes = [loadingError(error, retry)];
  }
  if (latestLoads.get(region) !== retry) return;
  region.replaceChildren(...nodes);
  region.removeAttribute("aria-busy");
}

/**
 * Load a region again; keep the previous content until then, and on an error. Focus and scroll positions are preserved.
 * @param {HTMLElement} region
 * @param {string} message
 * @param {() => Promise<Child>} load
 * @returns {Promise<void>}
 */
export async function reloadInto(region, message, load) {
  if (!region.childElementCount || region.hasAttribute("aria-busy")) return loadInto(region, message, load);
  const retry = () => reloadInto(region, message, load);
  latestLoads.set(region, retry);
  const update = await load().then(
    (nodes) => () => region.replaceChildren(...flatten([nodes])),
    (error) => () => {
      region.querySelector(":scope > [role=alert]")?.remove();
      region.prepend(loadingError(error, retry));
    },
  );
  if (latestLoads.get(region) === retry) preserveFocusAndScroll(region, update);
}

/**
 * The focused element is identified among the new ones by its link, accessible name or text.
 * @param {HTMLElement} region
 * @param {() => void} update
 */
function preserveFocusAndScroll(region, update) {
  const frames = () => [...region.querySelectorAll(".table-frame")];
  const positions = new Map(frames().map((frame) => [frame.getAttribute("aria-label"), frame.scrollLeft]));
  /** @param {Element} node */
  const identity = (node) => `${node.tagName} ${node.getAttribute("href") ?? node.getAttribute("aria-label") ?? node.textContent}`;
  const focused = document.activeElement && region.contains(document.activeElement) ? identity(document.activeElement) : null;
  update();
  for (const frame of frames()) frame.scrollLeft = positions.get(frame.getAttribute("aria-label")) ?? 0;
  if (!focused) return;
  /** @type {NodeListOf<HTMLElement>} */
  const candidates = region.querySelectorAll("a, button, [tabindex]");
  [...candidates].find((node) => identity(node) === focused)?.focus({ preventScroll: true });
}

/**
 * A table row; the first cell is its heading.
 * @param {Child[]} cells
 * @param {(string | undefined)[]} classes
 */
export function tableRow(cells, classes) {
  return el("tr", {}, cells.map((cell, index) => el(index ? "td" : "th", { class: classes[index], scope: index ? null : "row" }, cell)));
}

/**
 * A table in a frame that scrolls horizontally.
 * @param {string} caption
 * @param {HTMLElement[]} headings
 * @param {HTMLElement} body
 */
export function tableFrame(caption, headings, body) {
  const head = el("thead", {}, el("tr", {}, headings));
  const content = el("table", {}, el("caption", { class: "visually-hidden" }, caption), head, body);
  return el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": caption }, content);
}

/**
 * @template Row
 * @param {string} caption
 * @param {Column<Row>[]} columns
 * @param {readonly Row[]} rows
 */
export function table(caption, columns, rows) {
  const headings = columns.map(([heading, , kind]) => el("th", { scope: "col", class: kind }, heading));
  const classes = columns.map(([, , kind]) => kind);
  const body = el("tbody", {}, rows.map((row) => tableRow(columns.map(([, cell]) => cell(row)), classes)));
  return tableFrame(caption, headings, body);
}

/**
 * A section with its heading.
 * @param {string} id
 * @param {string} heading
 * @param {...Child} children
 */
export function section(id, heading, ...children) {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, heading), children);
}

/**
 * A list of download links.
 * @param {...Child} items
 */
export function downloadList(...items) {
  return el("ul", { class: "downloads" }, items);
}

/**
 * @param {string} href
 * @param {string} text
 * @param {string} [filename]
 */
export function downloadItem(href, text, filename = "") {
  return el("li", {}, el("a", { href, download: filename }, text));
}

/**
 * Announce a sentence to screen readers.
 * @param {string} sentence
 */
export function announce(sentence) {
  const region = document.getElementById("announcements");
  if (region && region.textContent !== sentence) region.textContent = sentence;
}
