// Words for webhooks: their events, and a new secret.

import { el } from "./dom.js";

/** @import { CreatedWebhook } from "../types.d.ts" */

/** @param {string[] | null} events */
export function describeEvents(events) {
  if (events?.length === 0) return "events of jobs and studies that name it";
  return events === null ? "all events" : events.join(", ");
}

/**
 * A new secret; the service never returns it again.
 * @param {CreatedWebhook} webhook
 */
export function secretNotice({ url, secret }) {
  const content = secret === null ? ["The secret is no longer available; rotate it."] : ["Copy this secret now; it is not shown again: ", el("code", {}, secret)];
  return el("div", { class: "notice" }, el("p", {}, el("strong", {}, url), ". ", content));
}
