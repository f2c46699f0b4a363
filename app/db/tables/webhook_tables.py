"""Tables of webhooks and their deliveries. `app.db.webhook_events` inserts deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created_at_column


class Webhook(Base):
    """Webhook endpoint. Its secret is not stored but derived from a salt (`app.webhook_security.signing`)."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_owner_id_id", "owner_id", "id"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # whk_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    url: Mapped[str]
    description: Mapped[str | None]
    events: Mapped[list[Any] | None]  # subscribed event types; null for all, empty for those alone of jobs and studies that name it
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]  # message, if the service disabled it; null otherwise
    secret_salt: Mapped[str]
    secret_digest: Mapped[str]  # sha256 of the secret, with which a sender verifies the derived secret
    previous_salt: Mapped[str | None]  # salt of the previous secret, which also signs until it expires
    previous_expires_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]  # first failure since the last success; null if the last attempt succeeded
    created_at: Mapped[datetime] = created_at_column()


class WebhookDelivery(Base):
    """One event for one webhook, deleted after a retention period. Every attempt sends the same bytes."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'succeeded', 'failed')", name="state"),
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
        # Read by senders every second.
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # dlv_…
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    event_id: Mapped[str]  # evt_…, sent as header webhook-id; the same for all webhooks and attempts
    type: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)  # started since it was created or replayed
    next_attempt_at: Mapped[datetime | None]  # during an attempt, the end of its lease; null once succeeded or failed
    lease_token: Mapped[str | None]  # fencing token: only the attempt that set it may record its outcome
    last_attempt_at: Mapped[datetime | None]
    last_status: Mapped[int | None]  # HTTP status; null without a response
    last_error: Mapped[str | None]  # message; null on success
    response_excerpt: Mapped[str | None]  # start of the response body
    created_at: Mapped[datetime] = created_at_column()
    finished_at: Mapped[datetime | None]
