"""The thread that sends what webhooks are to be told, several at once. One request: `worker.webhooks.requests`; rows: `app.db.deliveries`.

At least once: a delivery is leased, sent without any row locked, and its end recorded under the lease. What dies in between is sent again.
"""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpcore
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.deliveries import Claimed, Outcome, claim_due, record_outcome
from app.db.session import SessionFactory
from app.settings import Settings
from app.webhook_security.signing import secret_digest, secret_of, signed_headers
from worker.metrics import WEBHOOK_ATTEMPTS
from worker.webhooks.requests import RequestLimits, post

POLL_SECONDS = 1.0
LEASE_SECONDS = 60.0  # of which a request takes at most a third
AT_ONCE = 16
AT_ONCE_OF_OWNER = 8
AT_ONCE_OF_WEBHOOK = 2
FOREIGN_SECRET = "The service's own secret is another than when this webhook got its own; rotate its secret."  # noqa: S105 (a sentence)

log = structlog.get_logger(__name__)


class WebhookSender:
    """Looks every second for deliveries that are due and sends them; workers share the work by leases.

    Parameters
    ----------
    limits : of one request; the settings' networks and 15 seconds unless given
    lease_seconds : after which a delivery whose sender died is sent by another
    """

    def __init__(
        self, settings: Settings, sessions: SessionFactory, limits: RequestLimits | None = None, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._limits = limits or RequestLimits(allowed=settings.webhook_allowed_networks, allow_http=settings.webhook_allow_http)
        self._lease_seconds = lease_seconds
        self._ssl_context = httpcore.default_ssl_context()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._of_webhook = Counter[str]()
        self._of_owner = Counter[str]()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Take nothing more, and let what is under way end."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def hand_out(self) -> int:
        """Begin to send what is due, as far as there are hands; returns how many were taken."""
        taken = 0
        while not self._closing.is_set():
            with self._lock:
                free = AT_ONCE - self._of_owner.total()
                webhooks = [name for name, count in self._of_webhook.items() if count >= AT_ONCE_OF_WEBHOOK]
                owners = [name for name, count in self._of_owner.items() if count >= AT_ONCE_OF_OWNER]
            if free <= 0:
                break
            with self._sessions.begin() as session:
                claimed = claim_due(session, free, self._lease_seconds, without_webhooks=webhooks, without_owners=owners)
            if not claimed:
                break
            for each in claimed:
                self._count(each, 1)
                self._pool.submit(self._deliver, each)
            taken += len(claimed)
        return taken

    def _deliver(self, claimed: Claimed) -> None:
        try:
            outcome = self._attempt(claimed)
            with self._sessions.begin() as session:
                recorded = record_outcome(session, claimed, outcome)
            WEBHOOK_ATTEMPTS.labels("succeeded" if outcome.succeeded else "failed").inc()
            log.info("webhook_attempted", delivery=claimed.id, webhook=claimed.webhook_id, status=outcome.status, recorded=recorded)
        except SQLAlchemyError as error:  # the lease ends, and it is sent again
            log.warning("webhook_not_recorded", delivery=claimed.id, error=type(error).__name__)
        except Exception:  # the boundary of this thread
            log.exception("webhook_broke", delivery=claimed.id)
        finally:
            self._count(claimed, -1)
            self._wake.set()

    def _attempt(self, claimed: Claimed) -> Outcome:
        secret = secret_of(claimed.secret_salt, self._settings)
        if secret_digest(secret) != claimed.secret_digest:
            return Outcome(None, FOREIGN_SECRET)
        secrets = [secret] if claimed.previous_salt is None else [secret, secret_of(claimed.previous_salt, self._settings)]
        headers = signed_headers(claimed.event_id, datetime.now(UTC), claimed.body, secrets)
        return post(claimed.url, claimed.body, headers, self._limits, self._ssl_context)

    def _count(self, claimed: Claimed, change: int) -> None:
        with self._lock:
            for counter, name in ((self._of_webhook, claimed.webhook_id), (self._of_owner, claimed.owner_id)):
                counter[name] += change
                if not counter[name]:
                    del counter[name]

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.clear()
            try:
                self.hand_out()
            except SQLAlchemyError as error:
                log.warning("webhooks_not_read", error=str(error))
            except Exception:  # the boundary: without this thread nobody would be told anything
                log.exception("webhooks_broke")
            self._wake.wait(POLL_SECONDS)
