// List of libraries, vocabularies or webhooks: filters and order in the address, deletion, more on request.

import { request } from "./api.js";
import { announce, buttonById, byId, el, emptyState, errorNotice, loadInto } from "./dom.js";
import { latestOnly } from "./latest_load.js";
import { installFilters } from "./list_filters.js";
import { installOlder } from "./older_rows.js";
import { showTools } from "./page_tools.js";

/** @import { Child } from "../types.d.ts" */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} [href] of its page
 * @property {Child} about
 * @property {Child} [side]
 * @property {{question: string, address: string} | null} [deletion] null: it cannot be deleted
 */

/**
 * @template Item
 * @param {object} list
 * @param {string} list.nouns of several items
 * @param {string[]} list.filters ids of the fields
 * @param {(values: Record<string, string>) => string} list.json address of the API's list
 * @param {(values: Record<string, string>, next: string | null) => Promise<{items: Item[], next: string | null}>} list.load a page of items
 * @param {(item: Item) => Row} list.row
 * @param {string} list.empty sentence for a list without any item
 */
export async function showItems({ nouns, filters, json, load, row, empty }) {
  const region = byId("items");
  const more = buttonById("older");
  /** @type {string | null} */
  let next = null;
  const values = installFilters(filters, show);

  /** @param {Item} item */
  function node(item) {
    const { name, href, about, side, deletion } = row(item);
    const problem = el("div");
    const title = href ? el("a", { href, class: "job-name" }, name) : el("span", { class: "job-name" }, name);
    const button = deletion ? el("button", { type: "button", class: "subtle", "aria-label": `Delete ${name}` }, "Delete") : null;
    const made = el(
      "li",
      { class: "job plain" },
      el("div", { class: "job-description" }, title, el("p", { class: "job-about" }, about), problem),
      el("div", { class: "job-outcome" }, side),
      el("div", { class: "job-actions" }, button),
    );
    button?.addEventListener("click", async () => {
      if (!deletion || !confirm(deletion.question)) return;
      try {
        await request("DELETE", deletion.address);
        made.remove();
        announce(`${name} was deleted.`);
        if (!region.querySelector("li")) await show();
      } catch (error) {
        problem.replaceChildren(errorNotice(error));
      }
    });
    return made;
  }

  const loadLatest = latestOnly(load);

  /**
   * The rows of a page; null where a later load has begun.
   * @param {string | null} from
   */
  async function loadRows(from) {
    const page = await loadLatest(values(), from);
    if (page === null) return null;
    next = page.next;
    more.hidden = next === null;
    return page.items.map(node);
  }

  function show() {
    more.hidden = true;
    showTools(json(values()));
    return loadInto(region, `Loading your ${nouns} …`, async () => {
      const rows = await loadRows(null);
      if (rows === null) return null; // loadInto discards it too
      if (rows.length) return el("ol", { class: "job-list", id: "item-list" }, rows);
      if (Object.values(values()).some(Boolean)) return emptyState(`No matching ${nouns}`, `None of your ${nouns} matches the filters.`);
      return emptyState(`No ${nouns} yet`, empty);
    });
  }

  installOlder(more, region, "item-list", async () => (next === null ? null : loadRows(next)));
  await show();
  return show;
}

/**
 * Items whose text contains a word of the filter, in the wanted order, for lists that the API does not filter.
 * @template {{created_at?: string | null}} Item
 * @param {Item[]} items newest first
 * @param {Record<string, string>} values of the filters `name` and `sort`
 * @param {(item: Item) => string} text
 * @returns {Item[]}
 */
export function filterItems(items, { name = "", sort = "" }, text) {
  const found = items.filter((item) => text(item).toLowerCase().includes(name.toLowerCase()));
  if (sort === "name") return found.toSorted((first, second) => text(first).localeCompare(text(second)));
  if (sort === "created_at") return found.toSorted((first, second) => (first.created_at ?? "").localeCompare(second.created_at ?? ""));
  return found;
}
