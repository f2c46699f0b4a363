"""Reception of a request's body: bytes in flight bounded, and a lowest rate, so that slow or many bodies hold nothing for long."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from starlette.types import Message, Receive, Scope

from app.errors import RequestTimeout, Unavailable
from app.http.admission.in_flight import InFlight

GRACE_SECONDS = 10.0  # before the lowest rate applies
RETRY_AFTER_SECONDS = 5
STORED_PATH = re.compile(r"/v1/uploads/([^/]+/parts/[^/]+|small)/?")


def is_stored(scope: Scope) -> bool:
    """Whether the body goes to a file while it arrives; others are held in memory."""
    return STORED_PATH.fullmatch(scope["path"]) is not None


class Body:
    """The body of one request.

    Parameters
    ----------
    budget : where its bytes are counted until `end`
    client_of : who sends it when its first bytes arrive, which is known better after authentication
    min_bytes_per_second : lowest mean rate after GRACE_SECONDS
    """

    def __init__(self, scope: Scope, receive: Receive, budget: InFlight, client_of: Callable[[], str], min_bytes_per_second: float) -> None:
        self._receive = receive
        self._budget = budget
        self._client_of = client_of
        self._client = ""
        self._min_bytes_per_second = min_bytes_per_second
        self._declared = _declared_bytes(scope)
        self._reserved = 0
        self._received = 0
        self._began: float | None = None
        self.complete = self._declared == 0

    async def receive(self) -> Message:
        """Next message of the body.

        Raises
        ------
        Unavailable
            If too many bytes are in flight.
        RequestTimeout
            If the body arrives too slowly.
        """
        if self.complete:
            return await self._receive()
        if self._began is None:
            self._client = self._client_of()
            self._reserve(self._declared or 0)
            self._began = time.monotonic()
        deadline = self._began + GRACE_SECONDS + self._received / self._min_bytes_per_second
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                message = await self._receive()
        except TimeoutError as error:
            raise RequestTimeout(
                f"The request body arrived too slowly; send at least {self._min_bytes_per_second:g} bytes per second."
            ) from error
        self._received += len(message.get("body", b""))
        if self._received > self._reserved:
            self._reserve(self._received - self._reserved)
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def end(self) -> None:
        """Stop counting the body."""
        if self._reserved:
            self._budget.remove(self._client, self._reserved)
            self._reserved = 0

    def _reserve(self, size_bytes: int) -> None:
        if size_bytes and not self._budget.add(self._client, size_bytes):
            raise Unavailable(
                "Too many bytes of request bodies are in flight; send fewer at once, or try again shortly.",
                code="over_capacity",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        self._reserved += size_bytes


def _declared_bytes(scope: Scope) -> int | None:
    """Content-Length, 0 for a request without a body, None for a chunked body."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0
