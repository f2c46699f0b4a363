// Filters and order of a list: fields of the form #filters, kept in the page's address.

import { byId, el, inputById } from "./dom.js";

const TYPING_MILLISECONDS = 300;

/**
 * Set the fields to the page's address; after each change write them to it and call `onChange`.
 * @param {string[]} names ids of the fields, and parameters of the address
 * @param {() => void} onChange
 * @returns {() => Record<string, string>} reads the values
 */
export function installFilters(names, onChange) {
  /** @param {string} name */
  const field = (name) => inputById(name); // selects have a value too
  const values = () => Object.fromEntries(names.map((name) => [name, field(name).value.trim()]));
  const given = new URLSearchParams(location.search);
  for (const name of names) field(name).value = given.get(name) ?? "";

  /** @type {number | undefined} */
  let typing;
  byId("filters").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const query = new URLSearchParams(Object.entries(values()).filter(([, value]) => value));
      history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
      onChange();
    }, TYPING_MILLISECONDS);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  return values;
}

/**
 * Offer the tags of the listed items.
 * @param {{tags: string[]}[]} items
 */
export function offerTags(items) {
  const tags = new Set(items.flatMap((item) => item.tags));
  byId("tags").replaceChildren(...[...tags].sort().map((tag) => el("option", { value: tag })));
}

/**
 * Links to the items with each tag.
 * @param {string} path of the list
 * @param {string[]} tags
 */
export function tagLinks(path, tags) {
  if (!tags.length) return null;
  return el("p", { class: "tags" }, tags.map((tag) => [el("a", { href: `${path}?tag=${encodeURIComponent(tag)}` }, tag), " "]));
}
