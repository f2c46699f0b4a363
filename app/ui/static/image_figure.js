// The explained image under the heat map of one concept, with a strip of small maps of the concepts with the largest contributions.

import { conceptLabel } from "./concept_names.js";
import { el } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { describePeak } from "./explanation_formatting.js";
import { getFromWorker } from "./explanation_requests.js";
import { formatSigned } from "./formatting.js";
import { drawHeatMap, heatLegend, heatMapCanvas } from "./heat_map_canvas.js";

/** @import { Contribution, Explanation, HeatMap, HeatMapList } from "../types.d.ts" */

const STRIP_MAPS = 6;
const PIXELS = 320;
const SMALL_PIXELS = 96;

export class ImageFigure {
  /**
   * @param {Explanation} explanation
   * @param {(contribution: Contribution) => void} onSelect called when a map of the strip is chosen
   */
  constructor({ image, heatmaps, links, supporting, opposing }, onSelect) {
    /** @type {number | null} */
    this.concept = null;
    /** @type {Map<number, HeatMap>} */
    this.maps = new Map();
    this.address = links.image && heatmaps.available ? links.image.replace(/image\.png$/, "heatmaps") : null;
    this.overlay = heatMapCanvas("heatmap");
    this.caption = el("figcaption", { class: "help", "aria-live": "polite" });
    this.note = el("p", { class: "help" }, heatmaps.note);
    const alt = `Image as the network sees it; true class ${image.label ?? image.labels?.join(", ") ?? "unknown"}`;
    this.layers = links.image ? el("div", { class: "layers" }, el("img", { src: links.image, alt, width: image.size?.[1], height: image.size?.[0] }), this.overlay) : null;
    const largest = [...supporting, ...opposing].toSorted((first, second) => Math.abs(second.contribution) - Math.abs(first.contribution));
    this.strip = this.address ? largest.slice(0, STRIP_MAPS) : [];
    /** @type {Map<number, {button: HTMLButtonElement, canvas: HTMLCanvasElement}>} */
    this.small = new Map(this.strip.map((contribution) => [contribution.concept, smallMap(contribution, links.image, onSelect)]));
    const tools = this.address ? [heatLegend(), this.opacity(), this.caption, el("div", { class: "map-strip", role: "group", "aria-label": "Heat maps of the largest contributions" }, [...this.small.values()].map(({ button }) => button))] : null;
    this.node = el("figure", { class: "picture" }, this.layers, tools, this.note);
  }

  opacity() {
    const slider = el("input", { type: "range", min: 0, max: 100, step: 5, value: 75, id: "map-opacity" });
    const apply = () => {
      this.overlay.style.opacity = String(Number(slider.value) / 100);
      this.layers?.classList.toggle("mapped", slider.value !== "0");
    };
    slider.addEventListener("input", apply);
    apply();
    return el("div", { class: "map-opacity" }, el("label", { for: "map-opacity" }, "Opacity"), slider);
  }

  /** Load the maps of the strip in one request, and show the selected concept, or the one with the largest contribution. */
  async start(/** @type {Contribution | undefined} */ selected) {
    if (!this.address || !this.strip.length) return;
    const first = this.concept === null ? (selected ?? this.strip[0]) : null;
    if (first) this.mark(first);
    const query = new URLSearchParams(this.strip.map(({ concept }) => ["concepts", String(concept)]));
    try {
      /** @type {HeatMapList} */
      const { data } = await getFromWorker(`${this.address}?${query}`);
      for (const map of data) {
        this.maps.set(map.concept, map);
        const small = this.small.get(map.concept);
        if (small) drawHeatMap(small.canvas, map.values, SMALL_PIXELS);
      }
    } catch {
      this.caption.textContent = "The heat maps could not be loaded.";
      return;
    }
    if (first && this.concept === first.concept) await this.show(first);
  }

  /** @param {Contribution} contribution */
  mark(contribution) {
    this.concept = contribution.concept;
    for (const [concept, { button }] of this.small) button.setAttribute("aria-pressed", String(concept === contribution.concept));
    this.caption.textContent = `${conceptLabel(contribution)}: loading the heat map …`;
  }

  /**
   * Show a concept's heat map, and the position of its largest value in words.
   * @param {Contribution} contribution
   */
  async show(contribution) {
    if (!this.address) return;
    this.mark(contribution);
    const name = conceptLabel(contribution);
    const map = this.maps.get(contribution.concept) ?? (await this.load(contribution.concept));
    if (this.concept !== contribution.concept) return;
    if (!map) {
      this.caption.textContent = `The heat map of ${name} could not be loaded.`;
      return;
    }
    drawHeatMap(this.overlay, map.values, PIXELS);
    this.overlay.dataset.concept = String(map.concept);
    this.caption.textContent = `${name}: ${describePeak(map.values)}. Outlined: at least half of the largest.`;
    this.note.textContent = map.note;
  }

  /**
   * @param {number} concept
   * @returns {Promise<HeatMap | null>}
   */
  async load(concept) {
    /** @type {Promise<HeatMapList>} */
    const request = getFromWorker(`${this.address}?concepts=${concept}`);
    const map = await request.then(({ data }) => data[0], () => null);
    if (map) this.maps.set(concept, map);
    return map;
  }
}

/**
 * @param {Contribution} contribution
 * @param {string} image address
 * @param {(contribution: Contribution) => void} onSelect
 */
function smallMap(contribution, image, onSelect) {
  const canvas = heatMapCanvas("heatmap");
  const picture = el("span", { class: "layers mapped" }, el("img", { src: image, alt: "" }), canvas);
  const name = conceptLabel(contribution);
  const value = formatSigned(contribution.contribution, 2);
  const button = el("button", { type: "button", class: "small-map", "aria-pressed": "false", title: escapeInvisible(`${name}, ${value}`) }, picture, el("span", { class: "small-map-name" }, name));
  button.addEventListener("click", () => onSelect(contribution));
  return { button, canvas };
}
