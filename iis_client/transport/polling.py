"""Reading what is long (cursor pages) and what is not there yet (long polls)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from iis_client.errors import JobCanceledError, JobFailedError, WaitTimeoutError
from iis_client.transport.http import Transport
from iis_client.types.scores import Job

PAGE_LIMIT = 100
LONG_POLL_SECONDS = 30  # the service holds an answer up to 60
LONG_POLL_MARGIN_SECONDS = 30
UNAPPLIED_PAUSE_SECONDS = 1.0


def pages(transport: Transport, path: str, filters: Mapping[str, str] | None = None) -> Iterator[Any]:
    """Every item of a list, page after page."""
    query: dict[str, str | int] = {"limit": PAGE_LIMIT, **(filters or {})}
    while True:
        page = transport.send("GET", path, params=query).json()
        yield from page["data"]
        if not page["has_more"]:
            return
        query["after"] = page["after"]


def wait_for(transport: Transport, path: str, done: Callable[[Any], bool], timeout_seconds: float | None, *, name: str) -> Any:
    """The resource at `path` once it is `done`, by long polls; `name` is what an exception calls it.

    Raises
    ------
    WaitTimeoutError
        When the time is over.
    """
    until = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds
    while True:
        seconds = math.ceil(max(0.0, min(LONG_POLL_SECONDS, until - time.monotonic())))
        headers = {"Prefer": f"wait={seconds}"}
        response = transport.send("GET", path, headers=headers, read_timeout_seconds=seconds + LONG_POLL_MARGIN_SECONDS)
        found = response.json()
        if done(found):
            return found
        if time.monotonic() >= until:
            raise WaitTimeoutError(f"{name} is still {found['state']} after {timeout_seconds} s; it goes on at the service.")
        if "Preference-Applied" not in response.headers:  # somebody on the way dropped the wish to wait
            time.sleep(UNAPPLIED_PAUSE_SECONDS)


def require_success(job: Job) -> Job:
    """The finished job, or an exception that says why it has no result.

    Raises
    ------
    JobFailedError, JobCanceledError
    """
    if job["state"] == "canceled":
        raise JobCanceledError(job["id"], "canceled", f"Job {job['id']} was canceled.")
    if job["state"] == "failed":
        error = job["error"]
        message = error["message"] if error else "no reason was recorded."
        raise JobFailedError(job["id"], error["code"] if error else "unknown", f"Job {job['id']} failed: {message}")
    return job
