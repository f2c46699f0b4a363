// Page of all share links: what each shows, until when, when it was last opened; revocation.

import { get } from "./api.js";
import { byId, el, emptyState, loadInto, table } from "./dom.js";
import { formatTime } from "./formatting.js";
import { showTools } from "./page_tools.js";
import { describeLink, revokeButton } from "./share_panel.js";

/** @import { Column, Page, Share } from "../types.d.ts" */

const FIRST_PAGE = "/v1/shares?limit=50";
let address = FIRST_PAGE;

showTools("/v1/shares");
await show();

function show() {
  return loadInto(byId("shares"), "Loading your share links …", links);
}

async function links() {
  /** @type {Page<Share>} */
  const page = await get(address);
  if (!page.data.length && address === FIRST_PAGE) {
    return emptyState("No share links yet", "The pages of a result, concept, image or study have a Share button, which makes a link for people without an API key.");
  }
  /** @type {Column<Share>[]} */
  const columns = [
    ["Shows", (share) => el("a", { href: pageOf(share) }, describeShared(share))],
    ["Ends in", (share) => el("code", {}, `…${share.hint}`)],
    ["Created", (share) => formatTime(share.created_at)],
    ["State", describeLink],
    ["Actions", (share) => revokeButton(share, show)],
  ];
  /**
   * @param {string} to
   * @param {string} text
   */
  const pageButton = (to, text) => {
    const button = el("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      address = to;
      show();
    });
    return button;
  };
  const buttons = [address === FIRST_PAGE ? null : pageButton(FIRST_PAGE, "Newest links"), page.links.next ? pageButton(page.links.next, "Older links") : null];
  return [table("Your share links", columns, page.data), el("p", { class: "more" }, buttons)];
}

/** @param {Share} share */
function pageOf({ job, study, concept, image }) {
  if (study) return `/studies/${study}`;
  if (concept !== null) return `/jobs/${job}/concepts/${concept}`;
  return image === null ? `/jobs/${job}` : `/jobs/${job}/images/${image}`;
}

/** @param {Share} share */
function describeShared({ kind, title, concept, image }) {
  if (kind === "concept") return `Concept ${concept} of ${title}`;
  if (kind === "image") return `Test image ${image} of ${title}`;
  return `${kind === "study" ? "Study" : "Result of"} ${title}`;
}
