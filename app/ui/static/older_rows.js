// Button that appends the next page of a list.

import { byId, errorNotice } from "./dom.js";

/**
 * Append rows to the list on each click and move focus to the first of them; a failure is shown below the list.
 * @param {HTMLButtonElement} button
 * @param {HTMLElement} region that holds the list
 * @param {string} listId
 * @param {() => Promise<HTMLElement[] | null>} loadRows null: nothing to append
 */
export function installOlder(button, region, listId, loadRows) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const rows = await loadRows();
      if (rows === null) return;
      byId(listId).append(...rows);
      rows[0]?.querySelector("a")?.focus();
    } catch (error) {
      region.append(errorNotice(error));
    } finally {
      button.disabled = false;
    }
  });
}
