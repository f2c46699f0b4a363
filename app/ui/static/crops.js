// Image crops that show a concept, with text alternatives.

import { el } from "./dom.js";
import { formatNumber } from "./formatting.js";

/** @import { Exemplar } from "../types.d.ts" */

/**
 * The address of a crop: given by the exemplar, or in the library's folder.
 * @param {Exemplar} exemplar
 * @param {string | null} library
 */
function cropAddress(exemplar, library) {
  if (exemplar.url) return exemplar.url;
  return exemplar.crop && library ? `/v1/concept-libraries/${library}/exemplars/${encodeURIComponent(exemplar.crop)}` : null;
}

/**
 * @param {Exemplar[] | null | undefined} exemplars
 * @param {string | null} library
 * @param {number} [limit]
 */
export function crops(exemplars, library, limit = 5) {
  const items = (exemplars ?? []).slice(0, limit).flatMap((exemplar) => {
    const src = cropAddress(exemplar, library);
    if (!src) return [];
    const similarity = exemplar.similarity === undefined ? "" : `, similarity ${formatNumber(exemplar.similarity, 2)}`;
    const title = `from ${exemplar.image ?? "a training image"}${similarity}`;
    return [el("li", {}, el("img", { src, alt: `Crop ${title}`, title, loading: "lazy" }))];
  });
  return items.length ? el("ul", { class: "crops" }, items) : null;
}
