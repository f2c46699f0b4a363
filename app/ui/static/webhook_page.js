// Page of a webhook: its events, a test message, a new secret, enabling, its deliveries, deletion.

import { get, post, request } from "./api.js";
import { announce, byId, el, errorNotice, loadInto, reloadInto, section, table } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { formatTime } from "./formatting.js";
import { showTools } from "./page_tools.js";
import { describeEvents, secretNotice } from "./webhook_formatting.js";

/** @import { Column, Delivery, Page, Webhook } from "../types.d.ts" */

const address = `/v1/webhooks/${location.pathname.split("/")[2]}`;
const problem = el("div");
const deliveries = el("div");

await show();
await loadInto(deliveries, "Loading the deliveries …", deliveryTable);

function show() {
  return loadInto(byId("resource"), "Loading the webhook …", async () => {
    /** @type {Webhook} */
    const webhook = await get(address);
    byId("resource-title").textContent = escapeInvisible(webhook.url);
    showTools(address);
    const state = webhook.enabled ? "Enabled" : `Disabled${webhook.disabled_reason ? `: ${webhook.disabled_reason}` : ""}`;
    return [
      el("p", {}, `${state}; receives ${describeEvents(webhook.events)}. Created ${formatTime(webhook.created_at)}.`),
      webhook.description ? el("p", {}, webhook.description) : null,
      el("p", { class: "actions" }, actions(webhook)),
      problem,
      section("deliveries", "Deliveries of the last 30 days", deliveries),
    ];
  });
}

/** @param {Webhook} webhook */
function actions(webhook) {
  /**
   * @param {string} text
   * @param {() => Promise<unknown>} act
   */
  const button = (text, act) => {
    const node = el("button", { type: "button" }, text);
    node.addEventListener("click", async () => {
      node.disabled = true;
      problem.replaceChildren();
      try {
        await act();
      } catch (error) {
        problem.replaceChildren(errorNotice(error));
      } finally {
        node.disabled = false;
      }
    });
    return node;
  };
  const listed = () => reloadInto(deliveries, "Loading the deliveries …", deliveryTable);
  const test = async () => {
    await post(webhook.links.test);
    announce("A test message is on its way.");
    await listed();
  };
  const rotate = async () => byId("secret").replaceChildren(secretNotice(await post(webhook.links["rotate-secret"])));
  const enable = async () => {
    await request("PATCH", webhook.links.self, { json: { enabled: !webhook.enabled } });
    await show();
  };
  const remove = async () => {
    if (!confirm(`Delete the webhook ${webhook.url} with its pending deliveries?`)) return;
    await request("DELETE", webhook.links.self);
    location.assign("/webhooks");
  };
  return [
    button("Send a test message", test),
    button("Reload deliveries", listed),
    button("New secret", rotate),
    button(webhook.enabled ? "Disable" : "Enable", enable),
    button("Delete", remove),
  ];
}

async function deliveryTable() {
  /** @type {Page<Delivery>} */
  const { data } = await get(`${address}/deliveries?limit=50`);
  if (!data.length) return el("p", { class: "help" }, "None yet.");
  /** @param {Delivery} delivery */
  const replay = (delivery) => {
    const button = el("button", { type: "button", class: "subtle", "aria-label": `Send ${delivery.type} again` }, "Send again");
    button.addEventListener("click", async () => {
      try {
        await post(delivery.links.replay);
        await reloadInto(deliveries, "Loading the deliveries …", deliveryTable);
      } catch (error) {
        button.after(errorNotice(error));
      }
    });
    return button;
  };
  /** @type {Column<Delivery>[]} */
  const columns = [
    ["Event", (one) => one.type],
    ["State", (one) => one.state],
    ["Attempts", (one) => one.attempts, "number"],
    ["Last answer", (one) => one.last_status ?? one.last_error ?? "–"],
    ["Created", (one) => formatTime(one.created_at)],
    ["Actions", replay],
  ];
  return table("Deliveries", columns, data);
}
