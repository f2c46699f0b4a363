// Terms of the score, each explained behind an info mark: a button that opens a note beside it, by mouse or keyboard.

import { el } from "./dom.js";

/** @typedef {keyof typeof TERMS} Term */

export const TERMS = {
  IIS: "Inherent Interpretability Score: the mean of ARR over all sparsities, the area under the curve. At 1, kept concepts reach the accuracy or mean average precision of the whole representation. A high value alone does not say that the concepts matter: compare it with the controls.",
  ARR: "Accuracy Retention Rate: accuracy or, of multi-label data, mean average precision of a linear head on the kept concepts, divided by that of a linear head on the whole representation.",
  control: "The same measurement with directions that mean nothing in place of the concepts. Matched directions are random with the mean and covariance of the library; any directions are random without that.",
  gain: "Value of the concepts minus the value of a control, on the same test images. If its 95 % interval lies above 0, the concepts carry accuracy or mean average precision that random directions do not.",
  "few concepts": "Accuracy or mean average precision when each image keeps only its 5, 10, 15, 20, 25 or 30 strongest concepts, few enough to be read; the mean over these numbers. The verdict rests on this number: with many, any directions span the representation.",
};

const MARGIN = 8; // pixels to the edges of the window
let notes = 0;

/**
 * A term with its info mark.
 * @param {string} text
 * @param {Term} term
 */
export function withInfo(text, term) {
  return el("span", { class: "term" }, text, " ", infoMark(term));
}

/** @param {Term} term */
export function infoMark(term) {
  const id = `term-${++notes}`;
  const note = el("span", { id, popover: "auto", role: "note", class: "term-note" }, el("strong", {}, term), ": ", TERMS[term]);
  const button = el("button", { type: "button", class: "info", popovertarget: id, "aria-label": `Meaning of ${term}` }, "i");
  note.addEventListener("beforetoggle", () => place(note, button));
  note.addEventListener("toggle", () => place(note, button)); // its size is known once it is shown
  return el("span", {}, button, note);
}

/**
 * Below the button, within the window.
 * @param {HTMLElement} note
 * @param {HTMLElement} button
 */
function place(note, button) {
  const { left, bottom } = button.getBoundingClientRect();
  const farthest = document.documentElement.clientWidth - note.offsetWidth - MARGIN;
  note.style.left = `${Math.max(MARGIN, Math.min(left, farthest)) + scrollX}px`;
  note.style.top = `${bottom + 6 + scrollY}px`;
}
