"""Strong entity tags, 304 answers and long polls (`Prefer: wait=N`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import monotonic
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

MAX_WAIT_SECONDS = 60
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

Value = TypeVar("Value")


def etag_of(content: bytes) -> str:
    """A strong entity tag: equal tags mean equal bytes."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def matches(request: Request, etag: str) -> bool:
    """Whether the client says in If-None-Match that it already holds this content."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in given.split(",")]


def respond(
    request: Request,
    body: BaseModel | bytes,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    immutable: bool = False,
    retry_after_seconds: int | None = None,
) -> Response:
    """Answer a GET with its ETag, or with 304 and no body when the client already holds this content.

    Parameters
    ----------
    immutable : the content never changes again, so a private cache may keep it
    retry_after_seconds : for something that is still pending or running
    """
    content = body if isinstance(body, bytes) else body.model_dump_json().encode()
    etag = etag_of(content)
    fields = dict(headers or {})
    fields["ETag"] = etag
    fields["Cache-Control"] = "private, max-age=86400, immutable" if immutable else "private, no-cache"
    if retry_after_seconds is not None:
        fields["Retry-After"] = str(retry_after_seconds)
    if matches(request, etag):
        return Response(status_code=304, headers=fields)
    return Response(content, media_type=media_type, headers=fields)


async def _wait_seconds(
    prefer: Annotated[str | None, Header(description="`wait=N` holds the answer until something ended, N <= 60 seconds.")] = None,
) -> float:
    return parse_wait(prefer)


def parse_wait(prefer: str | None) -> float:
    """Seconds that a Prefer header asks to wait, at most a minute; 0 without such a wish."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})", prefer or "")
    return float(min(int(found.group(1)), MAX_WAIT_SECONDS)) if found else 0.0


WaitSeconds = Annotated[float, Depends(_wait_seconds)]


async def poll(read: Callable[[], Value], done: Callable[[Value], bool], wait_seconds: float) -> Value:
    """Read in a thread until `done` or until the time is up, sleeping in between without holding a thread or a connection."""
    until = monotonic() + wait_seconds
    pause = FIRST_PAUSE_SECONDS
    value = await run_in_threadpool(read)
    while not done(value) and (left := until - monotonic()) > 0:
        await anyio.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        value = await run_in_threadpool(read)
    return value
