// Panel of share links: creates a link to what the page shows, lists the links to it, and revokes them.

import { get, post, request } from "./api.js";
import { copyButton } from "./copy_button.js";
import { announce, el, errorNotice, loadInto } from "./dom.js";
import { retryWhileBusy } from "./explanation_requests.js";
import { formatCount, formatDay, formatTime } from "./formatting.js";

/** @import { CreatedShare, Page, Share, ShareTarget } from "../types.d.ts" */

const DAYS = [1, 7, 30, 90, 365];
const DEFAULT_DAYS = 30;
const MAX_LISTED = 100;

/**
 * @param {string} noun of what is shared
 * @param {() => ShareTarget} target of a new link
 */
export function sharePanel(noun, target) {
  const days = el("select", { id: "share-days" }, DAYS.map((count) => el("option", { value: count, selected: count === DEFAULT_DAYS }, formatCount(count, "day"))));
  const create = el("button", { type: "button", class: "primary" }, "Create link");
  const made = el("div", { role: "status" });
  const links = el("div");
  const help = `Anyone with the link can see this ${noun}, read-only and without an API key, until it expires or is revoked.`;
  const panel = el("div", { class: "share-panel" }, el("p", { class: "help" }, help), el("p", { class: "actions" }, el("label", { for: "share-days" }, "Expires in "), days, create), made, links);
  const node = el("details", { class: "share" }, el("summary", {}, "Share"), panel);
  const list = () => loadInto(links, "Loading the links …", () => linksTo(target(), list));
  node.addEventListener("toggle", () => node.open && !links.childElementCount && list());
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    node.open = false;
    node.querySelector("summary")?.focus();
  });
  create.addEventListener("click", async () => {
    create.disabled = true;
    try {
      /** @type {CreatedShare} */
      const share = await retryWhileBusy(() => post("/v1/shares", { ...target(), expires_in_days: Number(days.value) }));
      made.replaceChildren(...shown(share));
      await list();
    } catch (error) {
      made.replaceChildren(errorNotice(error));
    } finally {
      create.disabled = false;
    }
  });
  return node;
}

/** @param {CreatedShare} share */
function shown({ path, expires_at: end }) {
  if (path === null) return [el("p", {}, "The link is no longer available; create another one.")];
  const address = location.origin + path;
  const field = el("input", { readonly: true, value: address, "aria-label": "Link", class: "share-address" });
  field.addEventListener("focus", () => field.select());
  return [
    el("p", { class: "actions" }, field, ...copyButton("Copy link", address)),
    el("p", { class: "help" }, `Copy it now; it is not shown again. It works until ${formatDay(end)}.`),
  ];
}

/**
 * The links to the same thing, with buttons that revoke them.
 * @param {ShareTarget} target
 * @param {() => unknown} reload
 */
async function linksTo(target, reload) {
  const query = new URLSearchParams({ limit: String(MAX_LISTED), ...(target.job ? { job: target.job } : { study: target.study ?? "" }) });
  /** @type {Page<Share>} */
  const { data } = await get(`/v1/shares?${query}`);
  const same = data.filter(({ concept, image }) => concept === (target.concept ?? null) && image === (target.image ?? null));
  const all = el("p", {}, el("a", { href: "/shares" }, "All share links"));
  if (!same.length) return all;
  const items = same.map((share) => el("li", {}, el("code", {}, `…${share.hint}`), ` ${describeLink(share)} `, revokeButton(share, reload)));
  return [el("ul", { class: "plain-list share-list" }, items), all];
}

/** @param {Share} share */
export function describeLink({ expires_at: end, last_used_at: used }) {
  const state = new Date(end) <= new Date() ? `expired ${formatDay(end)}` : `until ${formatDay(end)}`;
  return `${state}, ${used ? `last opened ${formatTime(used)}` : "never opened"}`;
}

/**
 * @param {Share} share
 * @param {() => unknown} onRevoked
 */
export function revokeButton(share, onRevoked) {
  const button = el("button", { type: "button", class: "subtle", "aria-label": `Revoke the link that ends in ${share.hint}` }, "Revoke");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await request("DELETE", share.links.self);
      announce("The link was revoked.");
      await onRevoked();
    } catch (error) {
      button.after(errorNotice(error));
      button.disabled = false;
    }
  });
  return button;
}
