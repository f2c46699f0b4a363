"""AsyncIISClient: the calls of IISClient for asyncio, run in threads on one connection pool."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from types import TracebackType
from typing import Any, Self

from iis_client.client import IISClient

MAX_CALLS = 32
"""Calls in progress at once; further ones wait."""
_END = object()


class AsyncIISClient:
    """A connection to one service with one API key, for asyncio.

    It has every call of `IISClient` under the same name and with the same arguments. A call is awaited; one that gives an iterator is
    used in `async for` and is not awaited. Requests, retries and answers are those of `IISClient`, which runs in a thread. A call that is
    cancelled ends after its present request.

    Parameters
    ----------
    base_url, api_key : as of `IISClient`

    Examples
    --------
    >>> async with AsyncIISClient() as iis:  # doctest: +SKIP
    ...     jobs = await asyncio.gather(*(iis.score(model, data, {"kind": "cluster"}) for model in models))
    ...     async for job in iis.jobs():
    ...         print(job.id, job.state)
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        self._client = IISClient(base_url, api_key)
        self._threads = ThreadPoolExecutor(MAX_CALLS, thread_name_prefix="iis-client")

    @property
    def base_url(self) -> str:
        """Base URL of the service."""
        return self._client.base_url

    async def close(self) -> None:
        """Close the connections, after the calls that run."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *call_names()})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in call_names():
            raise AttributeError(f"AsyncIISClient has no call {name!r}")
        method = getattr(self._client, name)
        return partial(self._iterate if gives_iterator(name) else self._call, method)

    async def _call(self, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(method, *args, **kwargs))

    async def _iterate(self, method: Callable[..., Iterator[Any]], /, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        items = await self._call(method, *args, **kwargs)
        while (item := await self._call(next, items, _END)) is not _END:
            yield item


@cache
def call_names() -> frozenset[str]:
    """Names of the calls of `IISClient`."""
    own = {name for name, _ in inspect.getmembers(IISClient, inspect.isfunction) if not name.startswith("_")}
    return frozenset(own - {"close"})


@cache
def gives_iterator(name: str) -> bool:
    """Whether a call of `IISClient` gives an iterator, as its annotation says."""
    return str(inspect.signature(getattr(IISClient, name)).return_annotation).startswith("Iterator[")
