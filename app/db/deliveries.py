"""What senders do with deliveries of any owner: take those that are due, and write down how an attempt ended. Sending is the worker's.

No row is locked while a request is under way: a sender holds a lease, which is the time at which the delivery is due again. One that
dies in between leaves a delivery that another sends again, under the same webhook-id.

Whoever writes to both tables takes the webhook first, as a deletion does, so that neither waits for the other.
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

# Between one attempt and the next: ten attempts over a little more than three days.
PAUSES_SECONDS = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
JITTER = 0.2  # of a pause, so that what failed together does not come back together
PATIENCE = timedelta(days=5)  # a webhook that does nothing but fail for so long is disabled
GONE = 410


@dataclass(frozen=True)
class Claimed:
    """A delivery in a sender's hands, with what it needs of the webhook."""

    id: str
    token: str
    webhook_id: str
    owner_id: str
    event_id: str
    body: str
    url: str
    secret_salt: str
    secret_digest: str
    previous_salt: str | None  # null once it has expired


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    status: int | None  # of the answer, if there was one
    error: str | None  # a sentence, unless it succeeded
    excerpt: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None


def claim_due(
    session: Session, limit: int, lease_seconds: float, *, without_webhooks: Collection[str] = (), without_owners: Collection[str] = ()
) -> list[Claimed]:
    """Take up to `limit` deliveries that are due, at most one of each owner, so that nobody's pile keeps another's from its turn.

    Parameters
    ----------
    lease_seconds : after which they are due again, unless their end was recorded
    without_webhooks, without_owners : that have enough under way already
    """
    delivery, webhook = WebhookDelivery, Webhook
    turn = func.row_number().over(partition_by=delivery.owner_id, order_by=(delivery.next_attempt_at, delivery.id))
    waiting = (
        select(delivery.id, delivery.next_attempt_at, turn.label("turn"))
        .join(webhook, webhook.id == delivery.webhook_id)
        .where(delivery.state == "pending", delivery.next_attempt_at <= func.now(), webhook.enabled)
        .where(delivery.webhook_id.not_in(without_webhooks), delivery.owner_id.not_in(without_owners))
        .subquery()
    )
    turns = select(waiting.columns.id).where(waiting.columns.turn == 1).order_by(waiting.columns.next_attempt_at).limit(limit)
    due = (
        select(delivery, webhook)
        .join(webhook, webhook.id == delivery.webhook_id)
        .where(delivery.id.in_(turns), delivery.state == "pending", delivery.next_attempt_at <= func.now())
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
    """Write down how an attempt ended, and when the next one is due; False when the lease was lost, and nothing is written."""
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
    elif outcome.status == GONE or delivery.attempts > len(PAUSES_SECONDS):
        delivery.state, delivery.next_attempt_at, delivery.finished_at = "failed", None, now
    else:
        pause = PAUSES_SECONDS[delivery.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
        delivery.next_attempt_at = now + timedelta(seconds=pause)
    if not outcome.succeeded:
        _count_against(webhook, outcome, now)
    session.flush()
    return True


def _count_against(webhook: Webhook, outcome: Outcome, now: datetime) -> None:
    """A failure: the receiver may be gone for good."""
    since = webhook.failing_since = webhook.failing_since or now
    if outcome.status == GONE:
        reason = "The receiver answered 410, which says that it is gone for good."
    elif now - since > PATIENCE:
        reason = f"Nothing could be delivered for {PATIENCE.days} days. The last attempt: {outcome.error}"
    else:
        return
    if webhook.enabled:
        webhook.enabled, webhook.disabled_reason = False, reason
