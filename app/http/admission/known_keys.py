"""Look up API keys, and tokens of share links, in the database: all waiting look-ups in one query, one query at a time; refusals are
remembered for a while.

So a flood of keys costs one connection, and a key that is valid is read anew for every request, by itself or within the query of the route
(`app.http.key_confirmation`): a revoked key is refused from the next request on.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from app.errors import Unauthorized

REFUSAL_SECONDS = 30.0
REFUSALS_MAX = 10_000
KNOWN_MAX = 10_000

Found = TypeVar("Found")


class KnownKeys(Generic[Found]):
    """Look-ups of one event loop.

    Parameters
    ----------
    read : rows by the digests of keys; runs in a thread
    """

    def __init__(self, read: Callable[[Sequence[str]], Mapping[str, Found]]) -> None:
        self._read = read
        self._asked: dict[str, list[asyncio.Future[Found | None]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._refusals: OrderedDict[str, tuple[float, Unauthorized]] = OrderedDict()
        self._known: OrderedDict[str, tuple[str, Found]] = OrderedDict()

    def owner_of(self, digest: str) -> str | None:
        """Owner of a key that this process has seen to be valid; it may have been revoked since."""
        known = self._known.get(digest)
        return known[0] if known is not None else None

    def known_row(self, digest: str) -> Found | None:
        """Row of a key as an earlier request found it to be valid; the request has to confirm that it still is."""
        known = self._known.get(digest)
        return known[1] if known is not None else None

    def forget(self, digest: str) -> None:
        """Look the key up anew at its next request. Any thread may call it."""
        self._known.pop(digest, None)

    def remember(self, digest: str, owner_id: str, row: Found) -> None:
        """Note the owner and the row of a valid key."""
        self._known.pop(digest, None)  # to the end; a thread may forget the key meanwhile
        self._known[digest] = owner_id, row
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def refusal(self, digest: str) -> Unauthorized | None:
        """Why this key was refused within REFUSAL_SECONDS."""
        found = self._refusals.get(digest)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def refuse(self, digest: str, error: Unauthorized) -> None:
        """Remember a refusal. A refused key never becomes valid: it is unknown, revoked or expired."""
        self._known.pop(digest, None)
        self._refusals[digest] = time.monotonic() + REFUSAL_SECONDS, error
        if len(self._refusals) > REFUSALS_MAX:
            self._refusals.popitem(last=False)

    async def find(self, digest: str) -> Found | None:
        """Row of a key as it is now, None where there is none. Raises what `read` raises."""
        asked: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(digest, []).append(asked)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())
        return await asked

    async def _read_all(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, {}
            try:
                rows = await run_in_threadpool(self._read, list(asked))
            except BaseException as error:  # passed on to each request that asked
                for future in [one for waiting in asked.values() for one in waiting if not one.done()]:
                    future.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for digest, waiting in asked.items():
                for future in waiting:
                    if not future.done():
                        future.set_result(rows.get(digest))
