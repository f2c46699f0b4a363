// Example of a receiver that posts the end of jobs to Slack.

import { copyButton } from "./copy_button.js";
import { el } from "./dom.js";

/** @param {string} origin of the service */
export const slackReceiver = (origin) => `# pip install standardwebhooks httpx; run behind https and register its address here
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SERVICE = "${origin}"


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = Webhook(os.environ["IIS_WEBHOOK_SECRET"]).verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.send_response(401)
            self.end_headers()
            return
        about = event["data"]
        pages = {"job": "jobs", "study": "studies"}
        kind = event["type"].split(".")[0]
        text = f"{event['type']}: {SERVICE}/{pages[kind]}/{about['id']}" if kind in pages else f"{event['type']}: {about['id']}"
        httpx.post(os.environ["SLACK_WEBHOOK_URL"], json={"text": text}).raise_for_status()
        self.send_response(204)
        self.end_headers()


HTTPServer(("", 8080), Receiver).serve_forever()
`;

export function slackExample() {
  const text = slackReceiver(location.origin);
  return [
    el("h2", {}, "Example: post to Slack"),
    el("p", {}, "Slack accepts messages of its own form only, so a small receiver between checks the signature and posts a line with a link. Make an incoming webhook in Slack, and set its address and the secret of yours in the environment."),
    el("pre", { class: "snippet", tabindex: "0", "aria-label": "Receiver that posts to Slack" }, text),
    el("p", { class: "actions" }, copyButton("Copy the receiver", text)),
  ];
}
