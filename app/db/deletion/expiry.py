"""Deletion of expired rows that nothing refers to, run by workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.db.models import IdempotencyRecord, PostedImage, WebhookDelivery

DELIVERY_RETENTION = timedelta(days=30)


def expire_idempotency_records(session: Session, expiry_seconds: float) -> int:
    """Delete stored responses older than `expiry_seconds`; returns the number deleted. Commits."""
    oldest = datetime.now(UTC) - timedelta(seconds=expiry_seconds)
    gone = session.scalars(delete(IdempotencyRecord).where(IdempotencyRecord.created_at < oldest).returning(IdempotencyRecord.key)).all()
    session.commit()
    return len(gone)


def expire_posted_images(session: Session) -> int:
    """Delete expired posted images; returns the number deleted. Commits."""
    gone = session.scalars(delete(PostedImage).where(PostedImage.expires_at < datetime.now(UTC)).returning(PostedImage.id)).all()
    session.commit()
    return len(gone)


def expire_webhook_deliveries(session: Session) -> int:
    """Delete webhook deliveries older than `DELIVERY_RETENTION`; returns the number deleted. Commits."""
    oldest = datetime.now(UTC) - DELIVERY_RETENTION
    gone = session.scalars(delete(WebhookDelivery).where(WebhookDelivery.created_at < oldest).returning(WebhookDelivery.id)).all()
    session.commit()
    return len(gone)
