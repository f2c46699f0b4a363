// Plots of a study, drawn when they are scrolled near the window: a study can have many.

import { discard, draw } from "./charts.js";
import { el, errorNotice } from "./dom.js";

/** @import { Plot } from "./charts.js" */

export const MAX_LEGEND_NAMES = 6;

/** @type {Map<Element, () => void>} */
const pending = new Map();
/** @type {Set<HTMLElement>} */
const nodes = new Set();

const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      pending.get(target)?.();
      pending.delete(target);
    }
  },
  { rootMargin: "50%" },
);

/**
 * @param {string} summary text alternative
 * @param {() => Plot} makePlot
 */
export function lazyPlot(summary, makePlot) {
  const node = el("div", { class: "plot", role: "img", "aria-label": summary });
  const problem = el("div");
  pending.set(node, () => draw(node, makePlot).catch((error) => problem.replaceChildren(errorNotice(error))));
  nodes.add(node);
  observer.observe(node);
  return [node, problem];
}

/** Free the plots that are no longer on the page. */
export function discardRemovedPlots() {
  for (const node of nodes) {
    if (node.isConnected) continue;
    observer.unobserve(node);
    pending.delete(node);
    nodes.delete(node);
    discard(node);
  }
}
