// Tools in the heading of a page: the API's answer as JSON, and share links of what the page shows.

import { el } from "./dom.js";

/** @import { Child } from "../types.d.ts" */

/**
 * Show the tools of the page; a later call replaces them.
 * @param {string} json address of the API's answer
 * @param {Child} [share] panel of share links
 */
export function showTools(json, share = null) {
  const head = document.querySelector(".page-head");
  const link = el("a", { href: json, class: "help", title: "The data of this page, as the API has them" }, "JSON");
  const tools = el("div", { class: "page-tools" }, link, share);
  const shown = head?.querySelector(":scope > .page-tools");
  if (shown) shown.replaceWith(tools);
  else head?.append(tools);
}

/** @param {string} json address of the API's answer */
export function updateJson(json) {
  document.querySelector(".page-tools > a")?.setAttribute("href", json);
}
