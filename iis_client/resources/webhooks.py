"""Webhooks: addresses of yours that are told when something ends. How a message is checked is in docs/webhooks.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from iis_client.transport.connection import Connection, given
from iis_client.types.webhooks import EventType, Webhook, WebhookDelivery, WebhookWithSecret

PATH = "/v1/webhooks"


class Webhooks(Connection):
    """Calls on webhooks and what was delivered to them."""

    def webhooks(self) -> Iterator[Webhook]:
        """Your webhooks, newest first."""
        return cast("Iterator[Webhook]", self._pages(PATH))

    def webhook(self, webhook: str) -> Webhook:
        """One webhook."""
        return cast("Webhook", self._get(f"{PATH}/{webhook}"))

    def create_webhook(self, url: str, *, events: Iterable[EventType] | None = None, description: str | None = None) -> WebhookWithSecret:
        """Be told of events at an address; keep the `secret`, which is not shown again.

        Parameters
        ----------
        url : https, on the public internet
        events : the types to be told of; all unless given
        """
        fields = {"url": url, "events": None if events is None else list(events), "description": description}
        return cast("WebhookWithSecret", self._post(PATH, given(fields)))

    def update_webhook(self, webhook: str, **changes: Any) -> Webhook:
        """Change `url`, `events` (None for all), `description` or `enabled`; what is left out stays."""
        return cast("Webhook", self._transport.send("PATCH", f"{PATH}/{webhook}", json=changes).json())

    def rotate_webhook_secret(self, webhook: str) -> WebhookWithSecret:
        """Get another secret; for 24 hours messages are signed by both."""
        return cast("WebhookWithSecret", self._post(f"{PATH}/{webhook}/rotate-secret", {}))

    def test_webhook(self, webhook: str) -> WebhookDelivery:
        """Send it a `webhook.test` event."""
        return cast("WebhookDelivery", self._post(f"{PATH}/{webhook}/test", {}))

    def webhook_deliveries(self, webhook: str) -> Iterator[WebhookDelivery]:
        """What it was told in the last 30 days, newest first."""
        return cast("Iterator[WebhookDelivery]", self._pages(f"{PATH}/{webhook}/deliveries"))

    def replay_delivery(self, webhook: str, delivery: str) -> WebhookDelivery:
        """Send one of them again, under the same webhook-id."""
        return cast("WebhookDelivery", self._post(f"{PATH}/{webhook}/deliveries/{delivery}/replay", {}))

    def delete_webhook(self, webhook: str) -> None:
        """Delete a webhook with everything that waits for it."""
        self._transport.send("DELETE", f"{PATH}/{webhook}")
