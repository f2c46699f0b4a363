"""End of this process: requests that wait are answered at once, so that SIGTERM ends the process within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from app.errors import Unavailable

ANSWER_SECONDS = 5.0  # that a worker still has to answer after SIGTERM
RETRY_AFTER_SECONDS = 2

Value = TypeVar("Value")


class Shutdown:
    """Whether the process is shutting down. `begin` is called from the event loop of all requests, where all waits are."""

    def __init__(self) -> None:
        self.began = False
        self._waits: set[asyncio.Event] = set()
        self._actions: list[Callable[[], None]] = []

    def begin(self) -> None:
        """End all waits; calling it again changes nothing."""
        if self.began:
            return
        self.began = True
        for wait in self._waits:
            wait.set()
        for action in self._actions:
            action()

    def call_on_begin(self, action: Callable[[], None]) -> None:
        """Call `action` when the shutdown begins."""
        self._actions.append(action)

    async def sleep(self, seconds: float) -> None:
        """Sleep, until the shutdown begins at most."""
        if self.began:
            return
        wait = asyncio.Event()
        self._waits.add(wait)
        try:
            async with asyncio.timeout(seconds):
                await wait.wait()
        except TimeoutError:
            return
        finally:
            self._waits.discard(wait)

    async def answer_in_time(self, answer: Coroutine[Any, Any, Value]) -> Value:
        """Wait for `answer`; after the shutdown has begun, for `ANSWER_SECONDS` at most.

        Raises
        ------
        Unavailable
        """
        computing = asyncio.ensure_future(answer)
        ending = asyncio.ensure_future(self._grace())
        try:
            await asyncio.wait((computing, ending), return_when=asyncio.FIRST_COMPLETED)
            if computing.done():
                return computing.result()
            raise Unavailable(
                "This process is being replaced; send the request again.", code="shutting_down", retry_after_seconds=RETRY_AFTER_SECONDS
            )
        finally:
            computing.cancel()
            ending.cancel()

    async def _grace(self) -> None:
        while not self.began:
            await self.sleep(3600)
        await asyncio.sleep(ANSWER_SECONDS)
