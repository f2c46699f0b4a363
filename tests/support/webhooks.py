"""Webhooks and deliveries as rows, and the real sender at work on them. Whom it sends to is `receiver`."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, update

from app.db.ids import new_id
from app.db.models import Webhook, WebhookDelivery
from app.db.session import SessionFactory
from app.db.webhook_events import add_deliveries
from app.settings import Settings
from app.webhook_security.signing import new_salt, secret_digest, secret_of
from support.tenants import add_owner
from worker.webhooks.requests import RequestLimits
from worker.webhooks.sender import WebhookSender

LOOPBACK = ("127.0.0.1/32",)


class Hooks:
    """What is told to whom, for one owner unless `become_another_owner` is called."""

    def __init__(self, sessions: SessionFactory, settings: Settings) -> None:
        self.sessions = sessions
        self.settings = settings
        self.become_another_owner()

    def become_another_owner(self) -> None:
        self.owner_id = add_owner(self.sessions)

    def add(self, url: str, **columns: Any) -> tuple[str, str]:
        """A webhook, whatever its URL; returns its id and its secret."""
        salt = new_salt()
        secret = secret_of(salt, self.settings)
        webhook = Webhook(
            id=new_id("webhook"), owner_id=self.owner_id, url=url, secret_salt=salt, secret_digest=secret_digest(secret), **columns
        )
        with self.sessions.begin() as session:
            session.add(webhook)
        return webhook.id, secret

    def tell(self, webhook_id: str, count: int = 1) -> list[str]:
        """Write events down for a webhook; returns the deliveries' ids."""
        with self.sessions.begin() as session:
            webhook = session.get_one(Webhook, webhook_id)
            return [add_deliveries(session, [webhook], "job.succeeded", {"id": f"job_{n}"})[0].id for n in range(count)]

    def delivery(self, delivery_id: str) -> WebhookDelivery:
        with self.sessions() as session:
            return session.get_one(WebhookDelivery, delivery_id)

    def webhook(self, webhook_id: str) -> Webhook:
        with self.sessions() as session:
            return session.get_one(Webhook, webhook_id)

    def make_due(self, *delivery_ids: str, **columns: Any) -> None:
        """Let the pause before the next attempt be over."""
        with self.sessions.begin() as session:
            changed = update(WebhookDelivery).where(WebhookDelivery.id.in_(delivery_ids))
            session.execute(changed.values(next_attempt_at=datetime.now(UTC), **columns))

    @contextmanager
    def sender(self, *, allowed: Sequence[str] = LOOPBACK, lease_seconds: float = 60, **limits: Any) -> Generator[WebhookSender]:
        """A sender that may go to these networks, without https."""
        given = RequestLimits(allowed=[ip_network(each) for each in allowed], **{"allow_http": True, **limits})
        sender = WebhookSender(self.settings, self.sessions, given, lease_seconds)
        try:
            yield sender
        finally:
            sender.close()

    def send(self, sender: WebhookSender, *delivery_ids: str, timeout_seconds: float = 30) -> list[WebhookDelivery]:
        """Let the sender try each of these once more, and wait until it has; returns what they are then."""
        before = {each: self.delivery(each).attempts for each in delivery_ids}
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            sender.send_due()
            now = [self.delivery(each) for each in delivery_ids]
            if all(each.attempts > before[each.id] and each.lease_token is None for each in now):
                return now
            time.sleep(0.02)
        raise AssertionError(f"Waited {timeout_seconds:g} s in vain for {len(delivery_ids)} deliveries to be tried.")

    def attempt(self, sender: WebhookSender, url: str) -> WebhookDelivery:
        """What becomes of the first attempt to tell a new webhook at this URL; there is no second one."""
        webhook_id, _ = self.add(url)
        (delivery,) = self.send(sender, *self.tell(webhook_id))
        self.disable(Webhook.id == webhook_id)
        return delivery

    def disable(self, *which: ColumnElement[bool]) -> None:
        """Let nothing more be sent to these webhooks; to none at all unless they are named."""
        with self.sessions.begin() as session:
            session.execute(update(Webhook).where(*which).values(enabled=False))
