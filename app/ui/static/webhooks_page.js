// Page with the list of webhooks, a form to create one, and an example that posts to Slack.

import { get, post } from "./api.js";
import { byId, errorNotice, inputById } from "./dom.js";
import { escapeInvisible } from "./escaping.js";
import { formatTime } from "./formatting.js";
import { filterItems, showItems } from "./plain_list.js";
import { slackExample } from "./slack_example.js";
import { describeEvents, secretNotice } from "./webhook_formatting.js";

/** @import { CreatedWebhook, Page, Webhook } from "../types.d.ts" */

/** @type {Record<string, string[]>} */
const EVENTS = {
  job: ["job.succeeded", "job.failed", "job.canceled"],
  study: ["study.finished"],
  check: ["model.ready", "model.failed", "dataset.ready", "dataset.failed", "concept_set.ready", "concept_set.failed"],
};
const PATH = "/v1/webhooks?limit=100";
const form = /** @type {HTMLFormElement} */ (byId("create-webhook"));

byId("slack").replaceChildren(...slackExample());
const reload = await showItems({
  nouns: "webhooks",
  filters: ["name", "sort"],
  json: () => PATH,
  empty: "Create one below.",
  async load(values) {
    /** @type {Page<Webhook>} */
    const page = await get(PATH);
    return { items: filterItems(page.data, values, ({ url, description }) => `${url} ${description ?? ""}`), next: null };
  },
  row: (webhook) => ({
    name: escapeInvisible(webhook.url),
    href: `/webhooks/${webhook.id}`,
    about: [webhook.description, webhook.description ? " · " : "", describeEvents(webhook.events), ` · ${formatTime(webhook.created_at)}`],
    side: webhook.enabled ? "enabled" : `disabled${webhook.disabled_reason ? `: ${webhook.disabled_reason}` : ""}`,
    deletion: { question: `Delete the webhook ${webhook.url} with its pending deliveries?`, address: webhook.links.self },
  }),
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  /** @type {NodeListOf<HTMLInputElement>} */
  const boxes = form.querySelectorAll("[name=event]:checked");
  const events = [...boxes].flatMap((box) => EVENTS[box.value]);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = true;
  byId("create-problem").replaceChildren();
  try {
    const description = inputById("description").value || null;
    /** @type {CreatedWebhook} */
    const made = await post("/v1/webhooks", { url: inputById("url").value, events, description });
    byId("secret").replaceChildren(secretNotice(made));
    form.reset();
    await reload();
  } catch (error) {
    byId("create-problem").replaceChildren(errorNotice(error));
  } finally {
    button.disabled = false;
  }
});
