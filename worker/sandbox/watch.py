"""Requests to stop a job, and what a running stage is held to: stop request, deadline, limits."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from worker.sandbox.outcomes import Interrupted
from worker.sandbox.resource_limits import ResourceLimits


@dataclass
class Stop:
    """A request to stop the job, set by another thread; the first reason is kept."""

    event: threading.Event = field(default_factory=threading.Event)
    reason: str | None = None  # lease_lost, canceling or shutdown
    abandon_at: float = math.inf  # time.monotonic() at which the job is dropped unless its lease is renewed before

    def set(self, reason: str) -> None:
        if not self.event.is_set():
            self.reason = reason
            self.event.set()

    def check(self) -> None:
        """Raise `Interrupted` when the job must stop."""
        if time.monotonic() > self.abandon_at:
            self.set("lease_lost")
        if self.event.is_set():
            raise Interrupted(self.reason)


@dataclass(frozen=True)
class Watch:
    """Stop request, deadline and resource limits of one job while its stages run."""

    stop: Stop
    deadline: float  # time.monotonic()
    limits: ResourceLimits
