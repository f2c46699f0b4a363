"""Webhooks: URLs that receive events. The verification of messages is described in docs/webhooks.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from iis_client.transport.connection import Connection
from iis_client.transport.messages import build_request, id_of, request_body
from iis_schemas.names import EventType
from iis_schemas.webhooks import DeliveryView, WebhookCreate, WebhookUpdate, WebhookView, WebhookWithSecret

PATH = "/v1/webhooks"


class Webhooks(Connection):
    """Calls on webhooks and their deliveries."""

    def webhooks(self) -> Iterator[WebhookView]:
        """Your webhooks, newest first."""
        return self._pages(WebhookView, PATH)

    def webhook(self, webhook: str | WebhookView) -> WebhookView:
        """One webhook."""
        return self._get(WebhookView, f"{PATH}/{id_of(webhook)}")

    def create_webhook(self, url: str, *, events: Iterable[EventType] | None = None, description: str | None = None) -> WebhookWithSecret:
        """Create a webhook; store its `secret`, which is shown only once.

        Parameters
        ----------
        url : https, on the public internet
        events : event types to send; default: all
        """
        fields = {"url": url, "events": None if events is None else list(events), "description": description}
        return self._post(WebhookWithSecret, PATH, build_request(WebhookCreate, fields))

    def update_webhook(self, webhook: str | WebhookView, **changes: Any) -> WebhookView:
        """Change `url`, `events` (None for all), `description` or `enabled`; other fields do not change."""
        request = build_request(WebhookUpdate, changes)
        body = request_body(request) | {name: None for name, value in changes.items() if value is None}
        return self._patch(WebhookView, f"{PATH}/{id_of(webhook)}", body)

    def rotate_webhook_secret(self, webhook: str | WebhookView) -> WebhookWithSecret:
        """Replace the secret; messages are signed with both secrets for 24 hours."""
        return self._post(WebhookWithSecret, f"{PATH}/{id_of(webhook)}/rotate-secret")

    def test_webhook(self, webhook: str | WebhookView) -> DeliveryView:
        """Send a `webhook.test` event to a webhook."""
        return self._post(DeliveryView, f"{PATH}/{id_of(webhook)}/test")

    def webhook_deliveries(self, webhook: str | WebhookView) -> Iterator[DeliveryView]:
        """Deliveries of the last 30 days, newest first."""
        return self._pages(DeliveryView, f"{PATH}/{id_of(webhook)}/deliveries")

    def replay_delivery(self, webhook: str | WebhookView, delivery: str | DeliveryView) -> DeliveryView:
        """Send a delivery again, with the same webhook-id."""
        return self._post(DeliveryView, f"{PATH}/{id_of(webhook)}/deliveries/{id_of(delivery)}/replay")

    def delete_webhook(self, webhook: str | WebhookView) -> None:
        """Delete a webhook and its pending deliveries."""
        self._delete(f"{PATH}/{id_of(webhook)}")
