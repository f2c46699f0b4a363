// The explained image with the heat map of one concept over it.

import { conceptLabel } from "./concept_names.js";
import { el } from "./dom.js";
import { describePeak } from "./explanation_formatting.js";
import { getFromWorker } from "./explanation_requests.js";

/** @import { Contribution, Explanation, HeatMap } from "../types.d.ts" */

export class ImageFigure {
  /** @param {Explanation} explanation */
  constructor({ image, heatmaps, links }) {
    /** @type {number | null} */
    this.concept = null;
    this.overlay = el("img", { class: "heatmap", alt: "", hidden: true });
    this.caption = el("figcaption", { class: "help", role: "status" }, "Choose a concept below to show its heat map.");
    this.note = el("p", { class: "help" }, heatmaps.note);
    const alt = `Image as the network sees it; true class ${image.label ?? image.labels?.join(", ") ?? "unknown"}`;
    const layers = links.image && el("div", { class: "layers" }, el("img", { src: links.image, alt }), this.overlay);
    this.node = el("figure", { class: "picture" }, layers || null, heatmaps.available && this.caption, this.note);
  }

  /**
   * Show a concept's heat map, then the position of its largest value.
   * @param {Contribution} contribution
   */
  async show(contribution) {
    this.concept = contribution.concept;
    const name = conceptLabel(contribution);
    const address = contribution.links.heatmap;
    this.overlay.hidden = !address;
    if (!address) {
      this.caption.textContent = `${name} has no heat map.`;
      return;
    }
    const legend = `${name}: red raises the activation, blue lowers it`;
    this.overlay.src = address;
    this.caption.textContent = `${legend}.`;
    /** @type {Promise<HeatMap>} */
    const request = getFromWorker(address.replace(/\.png(\?.*)?$/, "$1"));
    const map = await request.catch(() => null); // the caption then does not describe the peak
    if (!map || this.concept !== contribution.concept) return;
    this.caption.textContent = `${legend}; ${describePeak(map.values)}.`;
    this.note.textContent = map.note;
  }
}
