// One of two images that are compared, with the heat map of a concept over it.

import { el } from "./dom.js";
import { getFromWorker } from "./explanation_requests.js";
import { imageName } from "./explanation_sections.js";
import { formatPercent } from "./formatting.js";
import { drawHeatMap, heatMapCanvas } from "./heat_map_canvas.js";

/** @import { Contribution, Explanation, HeatMapList } from "../types.d.ts" */

const PIXELS = 320;

export class PairPicture {
  /** @param {Explanation} explanation */
  constructor(explanation) {
    const { links, heatmaps, interpretation } = explanation;
    this.address = links.image && heatmaps.available ? links.image.replace(/image\.png$/, "heatmaps") : null;
    this.canvas = heatMapCanvas("heatmap");
    const name = imageName(explanation);
    const picture = links.image ? el("div", { class: "layers mapped" }, el("img", { src: links.image, alt: name }), this.canvas) : null;
    const prediction = interpretation.top[0];
    this.node = el("figure", { class: "pair-picture" }, picture, el("figcaption", {}, `${name}: ${prediction.class} (${formatPercent(prediction.probability)})`));
    this.shown = -1;
  }

  /** @param {Contribution} contribution */
  async show({ concept }) {
    if (!this.address) return;
    this.shown = concept;
    /** @type {HeatMapList | null} */
    const maps = await getFromWorker(`${this.address}?concepts=${concept}`).catch(() => null);
    if (maps && this.shown === concept) {
      drawHeatMap(this.canvas, maps.data[0].values, PIXELS);
      this.canvas.dataset.concept = String(concept);
    }
  }
}
