// The image as the network saw it, with the heat map of one concept over it, and what can honestly be said of that map.

import { ownName } from "./crops.js";
import { el } from "./dom.js";
import { peakWords, read } from "./explanations.js";

export class Picture {
  constructor({ image: seen, heatmaps, links }) {
    this.overlay = el("img", { class: "heatmap", alt: "", hidden: true });
    this.caption = el("figcaption", { class: "help", role: "status" }, "Choose a concept below to see where it is.");
    const base = links.image && el("img", { src: links.image, alt: `The image as the network saw it; true class ${seen.label ?? "unknown"}` });
    this.note = el("p", { class: "help" }, heatmaps.note);
    this.node = el("figure", { class: "picture" }, base && el("div", { class: "layers" }, base, this.overlay), heatmaps.available && this.caption, this.note);
  }

  async show(contribution) {
    this.shown = contribution.concept;
    const address = contribution.links.heatmap;
    this.overlay.hidden = !address;
    if (!address) {
      this.caption.textContent = `${ownName(contribution)} has no heat map.`;
      return;
    }
    this.overlay.src = address;
    this.caption.textContent = `${ownName(contribution)}: red raises it, blue lowers it.`;
    const map = await read(address.replace(/\.png(\?.*)?$/, "$1")).catch(() => null);
    if (!map || this.shown !== contribution.concept) return;
    this.caption.textContent = `${ownName(contribution)}: red raises it, blue lowers it; ${peakWords(map.values)}.`;
    this.note.textContent = map.note;
  }
}
