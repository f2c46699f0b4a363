// Page with the list of vocabularies: those that come with the service, and those of the owner.

import { get, getAll } from "./api.js";
import { escapeInvisible } from "./escaping.js";
import { formatCount, formatTime } from "./formatting.js";
import { filterItems, showItems } from "./plain_list.js";

/** @import { ConceptSet, Page } from "../types.d.ts" */

await showItems({
  nouns: "vocabularies",
  filters: ["name", "sort"],
  json: () => "/v1/concept-sets?limit=100",
  empty: "Add one when you submit a job with phrases, or with iis vocabularies add.",
  async load(values) {
    /** @type {[ConceptSet[], Page<ConceptSet>]} */
    const [own, shipped] = await Promise.all([getAll("/v1/concept-sets?limit=100"), get("/v1/concept-sets/shipped")]);
    return { items: filterItems([...own, ...shipped.data], values, ({ name, description }) => `${name} ${description ?? ""}`), next: null };
  },
  row: (set) => ({
    name: escapeInvisible(set.name),
    href: `/vocabularies/${encodeURIComponent(set.id)}`,
    about: [set.description, set.description ? " · " : "", set.origin === "uploaded" ? formatTime(set.created_at) : "comes with the service"],
    side: formatCount(set.versions, "version"),
    deletion: set.origin === "uploaded" ? { question: `Delete the vocabulary ${set.name} with all its versions? Finished jobs keep their results.`, address: set.links.self } : null,
  }),
});
