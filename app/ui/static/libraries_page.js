// Page with the list of concept libraries.

import { get } from "./api.js";
import { escapeInvisible } from "./escaping.js";
import { formatCount, formatTime } from "./formatting.js";
import { describeLibrary } from "./job_formatting.js";
import { deletionQuestion } from "./library_deletion.js";
import { tagLinks } from "./list_filters.js";
import { listQuery } from "./list_query.js";
import { showItems } from "./plain_list.js";

/** @import { ConceptLibrary, Page } from "../types.d.ts" */

const json = (/** @type {Record<string, string>} */ values) => `/v1/concept-libraries?${listQuery(values, 20)}`;

await showItems({
  nouns: "concept libraries",
  filters: ["name", "tag", "sort"],
  json,
  empty: "Each score job without a given library fits one.",
  async load(values, next) {
    /** @type {Page<ConceptLibrary>} */
    const page = await get(next ?? json(values));
    return { items: page.data, next: page.links.next ?? null };
  },
  row: (library) => ({
    name: escapeInvisible(library.name ?? describeLibrary(library.settings)),
    href: `/libraries/${library.id}`,
    about: [`${formatCount(library.concept_count, "concept")} of ${library.dimension} dimensions · ${library.kind} · ${formatTime(library.created_at)}`, tagLinks("/libraries", library.tags)],
    deletion: { question: deletionQuestion(library), address: library.links.self },
  }),
});
