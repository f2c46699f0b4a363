// Button that copies a text to the clipboard.

import { announce, el } from "./dom.js";

/**
 * Copies the text; shows it where the browser refuses the clipboard, as for a page over plain HTTP.
 * @param {string} label
 * @param {string} text
 */
export function copyButton(label, text) {
  const button = el("button", { type: "button" }, label);
  const shown = el("pre", { tabindex: "0", class: "snippet", "aria-label": label, hidden: true }, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      announce(`${label}: copied.`);
      setTimeout(() => (button.textContent = label), 2000);
    } catch {
      shown.hidden = false;
      getSelection()?.selectAllChildren(shown);
      announce(`${label}: the text is selected.`);
    }
  });
  return [button, shown];
}
