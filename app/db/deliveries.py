"""Claim due webhook deliveries of all owners and record the outcome of each attempt. `worker.webhooks` sends them.

A sender holds a lease instead of a row lock while the request runs: `next_attempt_at` is moved to the end of the lease. If the sender
dies, another one sends the delivery again with the same webhook-id.

Transactions that write to both tables lock the webhook first, as deletions do, which avoids deadlocks.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db.models import Webhook, WebhookDelivery

# Ten attempts over a little more than three days.
RETRY_DELAYS_SECONDS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
RETRY_JITTER = 0.2  # share of a delay, so that deliveries that failed at the same time are not retried at the same time
MAX_FAILING_DURATION = timedelta(days=5)  # without a success, after which a webhook is disabled
HTTP_GONE = 410


@dataclass(frozen=True)
class Claimed:
    """A claimed delivery with the columns of its webhook that sending needs."""

    id: str
    token: str
    webhook_id: str
    owner_id: str
    event_id: str
    body: str
    url: str
    secret_salt: str
    secret_digest: str
    previous_salt: str | None  # None once it has expired


@dataclass(frozen=True)
class Outcome:
    """Outcome of one delivery attempt."""

    status: int | None  # HTTP status; None without a response
    error: str | None  # message; None on success
    excerpt: str | None = None  # start of the response body

    @property
    def succeeded(self) -> bool:
        return self.error is None


def claim_due(
    session: Session, limit: int, lease_seconds: float, *, without_webhooks: Collection[str] = (), without_owners: Collection[str] = ()
) -> list[Claimed]:
    """Claim up to `limit` due deliveries, at most one per owner, so that the backlog of one owner does not delay others.

    Parameters
    ----------
    lease_seconds : time after which a delivery without a recorded outcome is due again
    without_webhooks, without_owners : ids to skip because they have enough requests in flight
    """
    delivery, webhook = WebhookDelivery, Webhook
    rank = func.row_number().over(partition_by=delivery.owner_id, order_by=(delivery.next_attempt_at, delivery.id))
    waiting = (
        select(delivery.id, delivery.next_attempt_at, rank.label("rank"))
        .join(webhook, webhook.id == delivery.webhook_id)
        .where(delivery.state == "pending", delivery.next_attempt_at <= func.now(), webhook.enabled)
        .where(delivery.webhook_id.not_in(without_webhooks), delivery.owner_id.not_in(without_owners))
        .subquery()
    )
    chosen = select(waiting.columns.id).where(waiting.columns.rank == 1).order_by(waiting.columns.next_attempt_at).limit(limit)
    due = (
        select(delivery, webhook)
        .join(webhook, webhook.id == delivery.webhook_id)
        .where(delivery.id.in_(chosen), delivery.state == "pending", delivery.next_attempt_at <= func.now())
        .with_for_update(of=delivery, skip_locked=True)
    )
    now, claimed = datetime.now(UTC), list[Claimed]()
    for row, hook in session.execute(due):
        row.lease_token = token = secrets.token_hex(16)
        row.attempts += 1
        row.last_attempt_at = func.clock_timestamp()
        row.next_attempt_at = func.clock_timestamp() + timedelta(seconds=lease_seconds)
        previous = hook.previous_salt if hook.previous_expires_at is not None and hook.previous_expires_at > now else None
        claimed.append(
            Claimed(
                id=row.id,
                token=token,
                webhook_id=hook.id,
                owner_id=hook.owner_id,
                event_id=row.event_id,
                body=row.body,
                url=hook.url,
                secret_salt=hook.secret_salt,
                secret_digest=hook.secret_digest,
                previous_salt=previous,
            )
        )
    session.flush()
    return claimed


def record_outcome(session: Session, claimed: Claimed, outcome: Outcome) -> bool:
    """Record the outcome of an attempt and schedule the next one; returns False and writes nothing if the lease was lost."""
    webhook = session.scalar(select(Webhook).where(Webhook.id == claimed.webhook_id).with_for_update(key_share=True))
    statement = select(WebhookDelivery).where(WebhookDelivery.id == claimed.id, WebhookDelivery.lease_token == claimed.token)
    delivery = session.scalar(statement.with_for_update())
    if webhook is None or delivery is None:
        return False
    now = datetime.now(UTC)
    delivery.lease_token = None
    delivery.last_status, delivery.last_error, delivery.response_excerpt = outcome.status, outcome.error, outcome.excerpt
    if outcome.succeeded:
        delivery.state, delivery.next_attempt_at, delivery.finished_at = "succeeded", None, now
        webhook.failing_since = None
    elif outcome.status == HTTP_GONE or delivery.attempts > len(RETRY_DELAYS_SECONDS):
        delivery.state, delivery.next_attempt_at, delivery.finished_at = "failed", None, now
    else:
        delay = RETRY_DELAYS_SECONDS[delivery.attempts - 1] * random.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)  # noqa: S311 (not a secret)
        delivery.next_attempt_at = now + timedelta(seconds=delay)
    if not outcome.succeeded:
        _record_failure(webhook, outcome, now)
    session.flush()
    return True


def _record_failure(webhook: Webhook, outcome: Outcome, now: datetime) -> None:
    """Note the start of a series of failures; disable the webhook if the receiver is gone or has failed too long."""
    since = webhook.failing_since = webhook.failing_since or now
    if outcome.status == HTTP_GONE:
        reason = "The receiver answered 410 Gone."
    elif now - since > MAX_FAILING_DURATION:
        reason = f"All deliveries failed for {MAX_FAILING_DURATION.days} days. Last error: {outcome.error}"
    else:
        return
    if webhook.enabled:
        webhook.enabled, webhook.disabled_reason = False, reason
