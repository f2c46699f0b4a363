"""Thread that sends due webhook deliveries, several in parallel.

Deliveries are sent at least once: each is leased, sent without a lock on its row, and its outcome is recorded under the lease. When the
worker dies in between, it is sent again.
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
LEASE_SECONDS = 60.0  # a request takes at most a third of it
PARALLEL_DELIVERIES = 16
PARALLEL_PER_OWNER = 8
PARALLEL_PER_WEBHOOK = 2
SECRET_CHANGED = "The service's secret has changed since this webhook got its secret; rotate the secret."  # noqa: S105 (a sentence)

log = structlog.get_logger(__name__)


class WebhookSender:
    """Send due deliveries, polling every second; several workers share the work by leases.

    Parameters
    ----------
    limits : of one request; the networks of the settings and 15 seconds unless given
    lease_seconds : time after which another worker sends the delivery of a lost one
    """

    def __init__(
        self, settings: Settings, sessions: SessionFactory, limits: RequestLimits | None = None, lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._limits = limits or RequestLimits(allowed=settings.webhook_allowed_networks, allow_http=settings.webhook_allow_http)
        self._lease_seconds = lease_seconds
        self._ssl_context = httpcore.default_ssl_context()
        self._pool = ThreadPoolExecutor(PARALLEL_DELIVERIES, thread_name_prefix="webhook")
        self._lock = threading.Lock()
        self._of_webhook = Counter[str]()
        self._of_owner = Counter[str]()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Claim no further deliveries and wait for the current ones."""
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def send_due(self) -> int:
        """Claim due deliveries up to the limits and start sending them; returns their number."""
        count = 0
        while not self._closing.is_set():
            with self._lock:
                free = PARALLEL_DELIVERIES - self._of_owner.total()
                webhooks = [name for name, count in self._of_webhook.items() if count >= PARALLEL_PER_WEBHOOK]
                owners = [name for name, count in self._of_owner.items() if count >= PARALLEL_PER_OWNER]
            if free <= 0:
                break
            with self._sessions.begin() as session:
                claimed = claim_due(session, free, self._lease_seconds, without_webhooks=webhooks, without_owners=owners)
            if not claimed:
                break
            for each in claimed:
                self._count(each, 1)
                self._pool.submit(self._deliver, each)
            count += len(claimed)
        return count

    def _deliver(self, claimed: Claimed) -> None:
        try:
            outcome = self._attempt(claimed)
            with self._sessions.begin() as session:
                recorded = record_outcome(session, claimed, outcome)
            WEBHOOK_ATTEMPTS.labels("succeeded" if outcome.succeeded else "failed").inc()
            log.info("webhook_attempted", delivery=claimed.id, webhook=claimed.webhook_id, status=outcome.status, recorded=recorded)
        except SQLAlchemyError as error:  # sent again after the lease expires
            log.warning("webhook_outcome_not_recorded", delivery=claimed.id, error=type(error).__name__)
        except Exception:  # the boundary of this thread
            log.exception("webhook_delivery_crashed", delivery=claimed.id)
        finally:
            self._count(claimed, -1)
            self._wake.set()

    def _attempt(self, claimed: Claimed) -> Outcome:
        secret = secret_of(claimed.secret_salt, self._settings)
        if secret_digest(secret) != claimed.secret_digest:
            return Outcome(None, SECRET_CHANGED)
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
                self.send_due()
            except SQLAlchemyError as error:
                log.warning("webhook_deliveries_not_claimed", error=str(error))
            except Exception:  # the boundary: this thread must survive every error
                log.exception("webhook_sender_crashed")
            self._wake.wait(POLL_SECONDS)
