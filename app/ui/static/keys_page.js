// Keys: which there are, making, rotating and revoking them; and what the owner may have and has.

import { get, post, request } from "./api.js";
import { byId, el, fill, problemView, renew, say, table } from "./dom.js";
import { bytes, when } from "./words.js";

const PATH = "/v1/api-keys";
const secret = byId("secret");
const form = byId("make");
const quota = (title, { limit, used }, words = (count) => count.toLocaleString("en")) => ({ title, used: words(used), limit: limit === null ? "any number" : words(limit) });

let next = null;

// The one moment in which a secret can be seen.
function showSecret(key) {
  const said = key.secret === null ? ["Its secret was lost on its way; give it another one."] : ["Keep this secret now; it is never shown again: ", el("code", {}, key.secret)];
  secret.replaceChildren(el("div", { class: "notice" }, el("p", {}, el("strong", {}, key.name), ". ", said)));
  secret.scrollIntoView({ block: "nearest" });
}

function stateWords(key) {
  if (key.revoked_at) return `revoked ${when(key.revoked_at)}`;
  if (key.expires_at && new Date(key.expires_at) <= new Date()) return `expired ${when(key.expires_at)}`;
  const old = key.retired_secrets.map((one) => `; …${one.hint} still works until ${when(one.expires_at)}`);
  return (key.expires_at ? `until ${new Date(key.expires_at).toLocaleDateString("en-GB")}` : "for ever") + old.join("");
}

function actions(key) {
  if (key.revoked_at || (key.expires_at && new Date(key.expires_at) <= new Date())) return "";
  const act = (work) => async (event) => {
    event.target.disabled = true;
    try {
      await work();
      await renew(byId("keys"), "Reading your keys …", list);
    } catch (error) {
      secret.replaceChildren(problemView(error));
      event.target.disabled = false;
    }
  };
  const rotate = act(async () => showSecret(await post(key.links.rotate)));
  const revoke = act(async () => {
    if (!confirm(`Revoke ${key.name}? Whoever uses it is refused from now on.`)) return;
    await request("DELETE", key.links.self);
    say(`${key.name} is revoked.`);
  });
  return [
    el("button", { type: "button", class: "quiet", "aria-label": `New secret for ${key.name}`, onclick: rotate }, "New secret"),
    el("button", { type: "button", class: "quiet", "aria-label": `Revoke ${key.name}`, onclick: revoke }, "Revoke"),
  ];
}

async function list() {
  const page = await get(next ?? `${PATH}?limit=50`);
  const columns = [
    ["Name", (key) => key.name],
    ["Ends in", (key) => el("code", {}, `…${key.hint}`)],
    ["May", (key) => key.scopes.join(", ")],
    ["Last used", (key) => when(key.last_used_at) || "never"],
    ["State", stateWords],
    ["What to do", actions],
  ];
  const more = (address, words) => el("button", { type: "button", onclick: () => { next = address; fill(byId("keys"), "Reading your keys …", list); } }, words);
  const turns = [next ? more(null, "Newest keys") : null, page.links.next ? more(page.links.next, "Older keys") : null].filter(Boolean);
  return [table("Your keys", columns, page.data), turns.length ? el("p", { class: "more" }, turns) : el("span")];
}

async function quotas() {
  const found = await get("/v1/quotas");
  const rows = [
    quota("Bytes stored", found.stored_bytes, bytes),
    quota("Open uploads", found.open_uploads),
    quota("Unfinished jobs", found.unfinished_jobs),
    quota("Jobs in 24 hours", found.jobs_per_day),
  ];
  return table("Quotas", [["", (row) => row.title], ["Used", (row) => row.used, "number"], ["Of", (row) => row.limit, "number"]], rows);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const scopes = [...form.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  const ends = byId("expires").value;
  const button = form.querySelector("button");
  button.disabled = true;
  byId("make-problem").replaceChildren();
  try {
    showSecret(await post(PATH, { name: byId("name").value, scopes, ...(ends && { expires_at: new Date(`${ends}T23:59:59`).toISOString() }) }));
    form.reset();
    next = null;
    await renew(byId("keys"), "Reading your keys …", list);
  } catch (error) {
    byId("make-problem").replaceChildren(problemView(error));
  } finally {
    button.disabled = false;
  }
});

fill(byId("keys"), "Reading your keys …", list);
fill(byId("quotas"), "Reading your quotas …", quotas);
