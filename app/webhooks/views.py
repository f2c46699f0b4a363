"""Webhooks and their deliveries as answers show them."""

from __future__ import annotations

from app.db.models import Webhook, WebhookDelivery
from iis_schemas.webhooks import DeliveryView, WebhookView

PATH = "/v1/webhooks"


def webhook_view(webhook: Webhook) -> WebhookView:
    """The view of a webhook's row, without its secret."""
    at = f"{PATH}/{webhook.id}"
    return WebhookView(
        id=webhook.id,
        url=webhook.url,
        description=webhook.description,
        events=webhook.events,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        previous_secret_expires_at=webhook.previous_expires_at,
        created_at=webhook.created_at,
        links={"self": at, **{name: f"{at}/{name}" for name in ("deliveries", "test", "rotate-secret")}},
    )


def delivery_view(delivery: WebhookDelivery) -> DeliveryView:
    """The view of a delivery's row."""
    webhook = f"{PATH}/{delivery.webhook_id}"
    at = f"{webhook}/deliveries/{delivery.id}"
    return DeliveryView.model_validate(
        {
            **{name: getattr(delivery, name) for name in DeliveryView.model_fields if name not in ("webhook", "event", "links")},
            "webhook": delivery.webhook_id,
            "event": delivery.event_id,
            "links": {"self": at, "replay": f"{at}/replay", "webhook": webhook},
        }
    )
