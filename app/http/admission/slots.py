"""Slots for work that holds a database connection, given to clients in turn.

There are fewer slots than connections and threads, so that work that has a slot never waits for either. A client with many requests
waits for its own requests; the next free slot goes to the client that has waited longest among those below their share.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque

from app.errors import Unavailable

WAIT_SECONDS = 15.0
RETRY_AFTER_SECONDS = 2


class Slots:
    """Slots of one event loop.

    Parameters
    ----------
    count : slots of all clients
    client_max : slots that one client may hold at once
    """

    def __init__(self, count: int, client_max: int) -> None:
        self._free = count
        self._client_max = client_max
        self._held = Counter[str]()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def acquire(self, client: str) -> None:
        """Take a slot for a client, after the others that wait.

        Raises
        ------
        Unavailable
            If none is free within WAIT_SECONDS.
        """
        if self._free and client not in self._waiting and self._held[client] < self._client_max:
            self._take(client)
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(granted)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await granted
        except BaseException as error:
            self._withdraw(client, granted)
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"Your request waited {WAIT_SECONDS:g} s for other requests; try again shortly.",
                    code="over_capacity",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                ) from error
            raise

    def release(self, client: str) -> None:
        """Give a slot back and grant it to the next client."""
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        self._free += 1
        self._grant()

    def _take(self, client: str) -> None:
        self._free -= 1
        self._held[client] += 1

    def _grant(self) -> None:
        for client in list(self._waiting):
            if not self._free:
                return
            if self._held[client] < self._client_max:
                self._grant_to(client)

    def _grant_to(self, client: str) -> None:
        """Grant a slot to the client's longest wait that has not been cancelled; its next turn is after all others'."""
        queue = self._waiting[client]
        while queue:
            granted = queue.popleft()
            if not granted.done():
                self._take(client)
                granted.set_result(None)
                break
        if queue:
            self._waiting.move_to_end(client)
        else:
            del self._waiting[client]

    def _withdraw(self, client: str, granted: asyncio.Future[None]) -> None:
        """End a wait; give the slot back if it was granted meanwhile."""
        if granted.done() and not granted.cancelled():
            self.release(client)
        elif client in self._waiting and granted in self._waiting[client]:
            self._waiting[client].remove(granted)
            if not self._waiting[client]:
                del self._waiting[client]
