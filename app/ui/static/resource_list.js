// List of models or data sets: search, filter and order in the address, deletion, more on request.

import { get } from "./api.js";
import { announce, buttonById, byId, el, emptyState, errorNotice, loadInto } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { formatTime } from "./formatting.js";
import { latestOnly } from "./latest_load.js";
import { installFilters, offerTags, tagLinks } from "./list_filters.js";
import { listQuery } from "./list_query.js";
import { installOlder } from "./older_rows.js";
import { showTools } from "./page_tools.js";
import { deleteResource } from "./resource_deletion.js";

/** @import { Dataset, Model, Page } from "../types.d.ts" */

const PAGE_ITEMS = 20;
/** @type {Record<string, [symbol: string, name: string]>} */
const STATES = { pending: ["○", "checking"], ready: ["●", "ready"], failed: ["✕", "failed"] };

/** @param {string} state */
export function checkState(state) {
  const [symbol, name] = STATES[state] ?? ["·", state];
  const style = state === "ready" ? "succeeded" : state;
  return el("p", { class: `job-state ${style}` }, el("span", { "aria-hidden": "true", class: "state-symbol" }, symbol), " ", name);
}

/**
 * @template {Model | Dataset} Item
 * @param {object} list
 * @param {"model" | "data set"} list.noun
 * @param {string} list.path of the page; the API's list has the same below /v1
 * @param {(item: Item) => string} list.about
 */
export async function showList({ noun, path, about }) {
  const region = byId("resources");
  const more = buttonById("older");
  /** @type {Item[]} */
  let items = [];
  /** @type {string | null} */
  let next = null;
  const values = installFilters(["name", "tag", "sort"], show);

  /** @param {Item} item */
  function row(item) {
    const outcome = el("div", { class: "job-outcome" }, item.state === "failed" ? el("p", { class: "job-error" }, item.error?.message ?? "") : null);
    const button = el("button", { type: "button", class: "subtle", "aria-label": `Delete ${escapeInvisible(item.name)}` }, "Delete");
    const node = el(
      "li",
      { class: "job" },
      checkState(item.state),
      el(
        "div",
        { class: "job-description" },
        el("a", { href: `${path}/${item.id}`, class: "job-name" }, item.name),
        el("p", { class: "job-about" }, about(item), " · ", el("time", { datetime: item.created_at }, formatTime(item.created_at))),
        tagLinks(path, item.tags),
      ),
      outcome,
      el("div", { class: "job-actions" }, button),
    );
    button.addEventListener("click", async () => {
      try {
        if (!(await deleteResource(noun, item))) return;
        items = items.filter((other) => other !== item);
        node.remove();
        announce(`${escapeInvisible(item.name)} was deleted.`);
        if (!items.length) await show();
      } catch (error) {
        outcome.replaceChildren(errorNotice(error));
      }
    });
    return node;
  }

  const getLatest = latestOnly(/** @type {(address: string) => Promise<Page<Item>>} */ (get));

  /**
   * The rows of a page; null where a later load has begun.
   * @param {string} from
   */
  async function load(from) {
    const page = await getLatest(from);
    if (page === null) return null;
    items.push(...page.data);
    next = page.links.next ?? null;
    more.hidden = next === null;
    offerTags(items);
    return page.data.map(row);
  }

  function show() {
    items = [];
    more.hidden = true;
    const address = `/v1${path}?${listQuery(values(), PAGE_ITEMS)}`;
    showTools(address);
    return loadInto(region, `Loading your ${noun}s …`, async () => {
      const rows = await load(address);
      if (rows === null) return null; // loadInto discards it too
      if (rows.length) return el("ol", { class: "job-list", id: "resource-list" }, rows);
      if (Object.values(values()).some(Boolean)) return emptyState(`No matching ${noun}s`, `None of your ${noun}s matches the filters.`);
      return emptyState(`No ${noun}s yet`, `A job that is submitted with a new ${noun} registers it.`);
    });
  }

  installOlder(more, region, "resource-list", async () => (next === null ? null : load(next)));
  await show();
}
