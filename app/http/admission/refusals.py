"""Refusals of requests beyond capacity."""

from __future__ import annotations

from app.errors import Unavailable

RETRY_AFTER_SECONDS = 2


def over_capacity() -> Unavailable:
    """Too many requests in progress, of all clients or of one."""
    return Unavailable(
        "The service has too many requests at this moment, or you have too many in progress; try again shortly.",
        code="over_capacity",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )
