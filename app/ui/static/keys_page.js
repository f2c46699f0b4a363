// Page of API keys and quotas: create, rotate and revoke keys; show usage and limits.

import { get, post, request } from "./api.js";
import { announce, byId, el, errorNotice, inputById, loadInto, reloadInto, table } from "./dom.js";
import { formatBytes, formatInteger, formatTime } from "./formatting.js";
import { showTools } from "./page_tools.js";

/** @import { ApiKey, Column, CreatedKey, Page, Quota, Quotas } from "../types.d.ts" */

const PATH = "/v1/api-keys";
const secret = byId("secret");
const form = /** @type {HTMLFormElement} */ (byId("create-key"));
/** @type {string | null} */
let currentPage = null; // null: the first page

/**
 * Show a new secret; the service never returns it again.
 * @param {CreatedKey} key
 */
function showSecret(key) {
  const content =
    key.secret === null
      ? ["The secret is no longer available; create a new one."]
      : ["Copy this secret now; it is not shown again: ", el("code", {}, key.secret)];
  secret.replaceChildren(el("div", { class: "notice" }, el("p", {}, el("strong", {}, key.name), ". ", content)));
  secret.scrollIntoView({ block: "nearest" });
}

/** @param {ApiKey} key */
const hasExpired = (key) => key.expires_at !== null && new Date(key.expires_at) <= new Date();

/** @param {ApiKey} key */
function describeState(key) {
  if (key.revoked_at) return `revoked ${formatTime(key.revoked_at)}`;
  if (hasExpired(key)) return `expired ${formatTime(key.expires_at)}`;
  const expiry = key.expires_at ? `expires ${new Date(key.expires_at).toLocaleDateString("en-GB")}` : "does not expire";
  const retired = key.retired_secrets.map(({ hint, expires_at: end }) => `; …${hint} still valid until ${formatTime(end)}`);
  return expiry + retired.join("");
}

/** @param {ApiKey} key */
function actions(key) {
  if (key.revoked_at || hasExpired(key)) return "";
  /** @param {() => Promise<unknown>} act */
  const handler = (act) => async (/** @type {Event} */ event) => {
    const button = /** @type {HTMLButtonElement} */ (event.target);
    button.disabled = true;
    try {
      await act();
      await reloadInto(byId("keys"), "Loading your keys …", keyTable);
    } catch (error) {
      secret.replaceChildren(errorNotice(error));
      button.disabled = false;
    }
  };
  const rotate = handler(async () => showSecret(await post(key.links.rotate)));
  const revoke = handler(async () => {
    if (!confirm(`Revoke ${key.name}? Requests with this key will be refused.`)) return;
    await request("DELETE", key.links.self);
    announce(`${key.name} was revoked.`);
  });
  return [
    el("button", { type: "button", class: "subtle", "aria-label": `New secret for ${key.name}`, onclick: rotate }, "New secret"),
    el("button", { type: "button", class: "subtle", "aria-label": `Revoke ${key.name}`, onclick: revoke }, "Revoke"),
  ];
}

async function keyTable() {
  /** @type {Page<ApiKey>} */
  const page = await get(currentPage ?? `${PATH}?limit=50`);
  /** @type {Column<ApiKey>[]} */
  const columns = [
    ["Name", (key) => key.name],
    ["Ends in", (key) => el("code", {}, `…${key.hint}`)],
    ["Scopes", (key) => key.scopes.join(", ")],
    ["Last used", (key) => formatTime(key.last_used_at) || "never"],
    ["State", describeState],
    ["Actions", actions],
  ];
  /**
   * @param {string | null} address
   * @param {string} text
   */
  const pageButton = (address, text) => {
    const onclick = () => {
      currentPage = address;
      loadInto(byId("keys"), "Loading your keys …", keyTable);
    };
    return el("button", { type: "button", onclick }, text);
  };
  const buttons = [currentPage && pageButton(null, "Newest keys"), page.links.next && pageButton(page.links.next, "Older keys")].filter(Boolean);
  return [table("Your keys", columns, page.data), buttons.length ? el("p", { class: "more" }, buttons) : null];
}

async function quotaTable() {
  /** @type {Quotas} */
  const quotas = await get("/v1/quotas");
  /**
   * @param {string} name
   * @param {Quota} quota
   * @param {(count: number) => string} [format]
   */
  const row = (name, { limit, used }, format = formatInteger) => [name, format(used), limit === null ? "unlimited" : format(limit)];
  const rows = [
    row("Storage", quotas.stored_bytes, formatBytes),
    row("Open uploads", quotas.open_uploads),
    row("Unfinished jobs", quotas.unfinished_jobs),
    row("Jobs in the last 24 hours", quotas.jobs_per_day),
    row("Pending validations", quotas.pending_validations),
  ];
  return table("Quotas", [["", ([name]) => name], ["Used", ([, used]) => used, "number"], ["Limit", ([, , limit]) => limit, "number"]], rows);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  /** @type {NodeListOf<HTMLInputElement>} */
  const boxes = form.querySelectorAll("[name=scope]:checked");
  const scopes = [...boxes].map((box) => box.value);
  const expiry = inputById("expires").value;
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = true;
  byId("create-problem").replaceChildren();
  try {
    const expiresAt = expiry ? { expires_at: new Date(`${expiry}T23:59:59`).toISOString() } : {};
    showSecret(await post(PATH, { name: inputById("name").value, scopes, ...expiresAt }));
    form.reset();
    currentPage = null;
    await reloadInto(byId("keys"), "Loading your keys …", keyTable);
  } catch (error) {
    byId("create-problem").replaceChildren(errorNotice(error));
  } finally {
    button.disabled = false;
  }
});

showTools("/v1/api-keys?limit=50");
loadInto(byId("keys"), "Loading your keys …", keyTable);
loadInto(byId("quotas"), "Loading your quotas …", quotaTable);
