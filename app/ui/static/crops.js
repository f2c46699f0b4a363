// The crops that show a concept, as small pictures with words in their place for those who do not see them.

import { el } from "./dom.js";
import { number } from "./words.js";

// Where a crop lies: named by the exemplar itself, or in the library's own folder.
function address(exemplar, library) {
  if (exemplar.url) return exemplar.url;
  return exemplar.crop && library ? `/v1/concept-libraries/${library}/exemplars/${encodeURIComponent(exemplar.crop)}` : null;
}

export function crops(exemplars, library, most = 5) {
  const shown = (exemplars ?? []).slice(0, most).filter((one) => address(one, library));
  if (!shown.length) return null;
  return el(
    "ul",
    { class: "crops" },
    shown.map((one) => {
      const about = `from ${one.image ?? "a training image"}${one.similarity === undefined ? "" : `, similarity ${number(one.similarity, 2)}`}`;
      return el("li", {}, el("img", { src: address(one, library), alt: `Crop ${about}`, title: about, loading: "lazy" }));
    }),
  );
}

export function ownName(concept) {
  return concept.label ?? `Concept ${concept.concept ?? concept.index}`;
}

// A negative activation says that the representation points away from the concept.
export function conceptName(concept) {
  return ownName(concept) + (concept.activation < 0 ? " (its opposite)" : "");
}
