"""Rows whose time is over and that nothing else refers to. Imports no web framework: workers run it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.db.models import IdempotencyRecord, PostedImage, WebhookDelivery

DELIVERIES_KEPT = timedelta(days=30)


def expire_idempotency_records(session: Session, expiry_seconds: float) -> int:
    """Drop answers kept for longer than `expiry_seconds`; returns how many went. Commits."""
    oldest = datetime.now(UTC) - timedelta(seconds=expiry_seconds)
    gone = session.scalars(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < oldest).returning(IdempotencyRecord.key)).all()
    session.commit()
    return len(gone)


def expire_posted_images(session: Session) -> int:
    """Drop images whose time is over; returns how many went. Commits."""
    gone = session.scalars(delete(PostedImage).where(PostedImage.expires_at < datetime.now(UTC)).returning(PostedImage.id)).all()
    session.commit()
    return len(gone)


def expire_webhook_deliveries(session: Session) -> int:
    """Drop what webhooks were told long ago; returns how many went. Commits."""
    oldest = datetime.now(UTC) - DELIVERIES_KEPT
    gone = session.scalars(delete(WebhookDelivery).where(WebhookDelivery.created_at < oldest).returning(WebhookDelivery.id)).all()
    session.commit()
    return len(gone)
