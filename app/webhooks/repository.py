"""All SQL of webhooks and deliveries of an owner. SQL of the senders: `app.db.deliveries`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db.models import Owner, Webhook, WebhookDelivery
from app.db.repository import OwnedRepository
from app.errors import NotFound


class WebhookRepository(OwnedRepository[Webhook]):
    """Webhooks of one owner."""

    table = Webhook
    noun = "webhook"

    def lock_registration(self) -> None:
        """Let no other transaction add a webhook of this owner until this one ends."""
        self.session.execute(select(Owner.id).where(Owner.id == self.owner_id).with_for_update(key_share=True))

    def count(self) -> int:
        """The number of webhooks."""
        return self.session.scalar(select(func.count()).select_from(self.owned().subquery())) or 0

    def of_address(self, url: str) -> Webhook | None:
        """The webhook with this normalised URL, held as by `hold`: an enabled one where there is one, else the oldest."""
        found = self.owned().where(Webhook.url == url).order_by(Webhook.enabled.desc(), Webhook.id).limit(1)
        return self.session.scalar(found.with_for_update(read=True).execution_options(populate_existing=True))

    def delete(self, webhook_id: str) -> None:
        """Delete a webhook with its deliveries."""
        self.session.delete(self.get(webhook_id, for_update=True))
        self.session.flush()


class DeliveryRepository(OwnedRepository[WebhookDelivery]):
    """Deliveries to the webhooks of one owner."""

    table = WebhookDelivery
    noun = "delivery"

    def __init__(self, session: Session, owner_id: str, webhook_id: str) -> None:
        super().__init__(session, owner_id)
        self.webhook_id = webhook_id

    def of_webhook(self, *, after: str | None, limit: int) -> Sequence[WebhookDelivery]:
        """Deliveries of the webhook, newest first, one more than `limit`."""
        return self.list(WebhookDelivery.webhook_id == self.webhook_id, after=after, limit=limit)

    def get(self, row_id: str, *, for_update: bool = False) -> WebhookDelivery:
        """One delivery of the webhook; raises `NotFound` also for a delivery of another one."""
        delivery = super().get(row_id, for_update=for_update)
        if delivery.webhook_id != self.webhook_id:
            raise NotFound(f"There is no delivery {row_id}.")
        return delivery
