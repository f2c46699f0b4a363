"""Read long lists by cursor pages; wait for a resource by long polls."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from iis_client.errors import WaitTimeoutError
from iis_client.transport.http import Transport
from iis_client.transport.messages import Answer, parse_answer

PAGE_LIMIT = 100
LONG_POLL_SECONDS = 30  # the service holds an answer for up to 60 s
LONG_POLL_MARGIN_SECONDS = 30
SHORT_POLL_SECONDS = 1.0  # where a proxy drops the Prefer header


def pages(transport: Transport, path: str, filters: Mapping[str, str | int | list[str]] | None = None) -> Iterator[Any]:
    """Yield the JSON of every item of a list, page by page."""
    query: dict[str, str | int | list[str]] = {"limit": PAGE_LIMIT, **(filters or {})}
    while True:
        page = transport.send("GET", path, params=query).json()
        yield from page["data"]
        if not page["has_more"]:
            return
        query["after"] = page["after"]


def poll(transport: Transport, model: type[Answer], path: str, wait_seconds: int) -> tuple[Answer, float]:
    """Read a resource by one long poll of up to `wait_seconds`.

    Returns
    -------
    The answer, and the pause before the next poll in seconds: above 0 where a proxy dropped the Prefer header.
    """
    headers = {"Prefer": f"wait={wait_seconds}"}
    response = transport.send("GET", path, headers=headers, read_timeout_seconds=wait_seconds + LONG_POLL_MARGIN_SECONDS)
    pause_seconds = 0.0 if "Preference-Applied" in response.headers else SHORT_POLL_SECONDS
    return parse_answer(model, response.json()), pause_seconds


def wait_for(
    transport: Transport,
    model: type[Answer],
    path: str,
    state_of: Callable[[Answer], str | None],
    timeout_seconds: float | None,
    *,
    name: str,
    poll_seconds: int = LONG_POLL_SECONDS,
) -> Answer:
    """Poll the resource at `path` until it is finished.

    Parameters
    ----------
    state_of : state of an unfinished resource; None when it is finished
    name : of the resource in the text of the exception
    poll_seconds : longest time that one poll is held; each poll calls `state_of`

    Raises
    ------
    WaitTimeoutError
        When it is not finished within `timeout_seconds`.
    """
    deadline = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        wait_seconds = math.ceil(max(0.0, min(poll_seconds, deadline - time.monotonic())))
        answer, pause_seconds = poll(transport, model, path, wait_seconds)
        state = state_of(answer)
        if state is None:
            return answer
        if time.monotonic() >= deadline:
            raise WaitTimeoutError(f"{name} is still {state} after {timeout_seconds} s; the service continues to work on it.")
        time.sleep(pause_seconds)
