"""The tables of webhooks: where an owner wants to be told, and each thing told there. When something is told: `app.db.webhook_events`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created_at_column


class Webhook(Base):
    """An address that is told of events. Its secret is not here: it is derived from a salt (`app.webhook_security.signing`)."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_owner_id_id", "owner_id", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # whk_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    url: Mapped[str]
    description: Mapped[str | None]
    events: Mapped[list[Any] | None]  # the types to tell; null for all
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]  # a sentence, where the service itself disabled it
    secret_salt: Mapped[str]
    secret_digest: Mapped[str]  # sha256 of the secret, by which a sender knows that it derives the right one
    previous_salt: Mapped[str | None]  # of the secret before, which signs too until it expires
    previous_expires_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]  # the first failure after which nothing succeeded
    created_at: Mapped[datetime] = created_at_column()


class WebhookDelivery(Base):
    """One event for one webhook, kept until it is old. The same bytes go out on each attempt."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        # What senders read every second: only what is still to be sent.
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # dlv_…
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    event_id: Mapped[str]  # evt_…, the header webhook-id: the same for every webhook and on every attempt
    type: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)  # begun since it was written or replayed
    next_attempt_at: Mapped[datetime | None]  # while one is under way, when it counts as lost; null at the end
    lease_token: Mapped[str | None]  # the fence: only the attempt that set it may write how it ended
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    response_excerpt: Mapped[str | None]
    created_at: Mapped[datetime] = created_at_column()
    finished_at: Mapped[datetime | None]
