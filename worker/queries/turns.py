"""Take queries from Redis by owners in turn, one query of an owner at a time."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import redis

from app.query_queue import TURNS, add_query, queue_of

REQUEUED_EXPIRY_SECONDS = 600.0


class QueryTurns:
    """Turns of owners in one worker. An owner whose query runs here waits for its end, so that it does not hold every thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = set[str]()

    def start(self, owner_id: str) -> bool:
        """Reserve the turn of an owner; False while a query of the owner runs in this worker."""
        with self._lock:
            if owner_id in self._running:
                return False
            self._running.add(owner_id)
            return True

    def end(self, broker: redis.Redis, owner_id: str) -> None:
        """Release the turn; an owner with further queries waits for the next one behind the others."""
        with self._lock:
            self._running.discard(owner_id)
        if broker.llen(queue_of(owner_id)):
            broker.zadd(TURNS, {owner_id: time.time()}, nx=True)

    def take(self, broker: redis.Redis, timeout_seconds: float) -> tuple[str, bytes] | None:
        """Wait for the owner whose turn is next and take its oldest query; returns owner and message, with the turn reserved.

        Returns None without a query in that time, or when a query of that owner runs here: `end` queues the turn again.
        """
        found = cast("tuple[bytes, bytes, float] | None", broker.bzpopmin([TURNS], timeout_seconds))
        if found is None:
            return None
        owner_id = found[1].decode()
        if not self.start(owner_id):
            return None
        message: Any = None
        try:
            message = broker.rpop(queue_of(owner_id))
        finally:
            if message is None:
                with self._lock:
                    self._running.discard(owner_id)
        return None if message is None else (owner_id, message)


def requeue(broker: redis.Redis, owner_id: str, message: bytes) -> None:
    """Return a query to the queue for another worker, before the owner's others."""
    with broker.pipeline() as pipeline:
        add_query(pipeline, owner_id, message, REQUEUED_EXPIRY_SECONDS, first=True)
        pipeline.execute()
