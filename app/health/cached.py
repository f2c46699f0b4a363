"""A value that is computed in a thread at most once a second; answers beyond a rate wait for the next second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

FRESH_SECONDS = 1.0
ANSWERS_PER_SECOND = 20  # further requests wait for the next value, so that a flood slows itself down

Value = TypeVar("Value")


class Cached(Generic[Value]):
    """Value of `compute`, for one event loop."""

    def __init__(self, compute: Callable[[], Value]) -> None:
        self._compute = compute
        self._computing: asyncio.Task[Value] | None = None
        self._found: tuple[float, Value] | None = None
        self._answers = 0

    async def get(self) -> Value:
        """The value as of the last second. Raises what `compute` raises."""
        if self._found is not None and (left := self._found[0] + FRESH_SECONDS - time.monotonic()) > 0:
            self._answers += 1
            if self._answers <= ANSWERS_PER_SECOND:
                return self._found[1]
            await asyncio.sleep(left)
        if self._computing is None or self._computing.done():
            self._computing = asyncio.create_task(self._refresh())
        return await asyncio.shield(self._computing)

    async def _refresh(self) -> Value:
        value = await run_in_threadpool(self._compute)
        self._found, self._answers = (time.monotonic(), value), 0
        return value
