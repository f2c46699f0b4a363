"""HTTP caching (ETags, 304 Not Modified), compression, and long polling (`Prefer: wait=N`)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from time import monotonic
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.http.admission.admitted import Admitted

MAX_WAIT_SECONDS = 60
MIN_POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 2.0
COMPRESSED_BYTES_MIN = 4096  # smaller answers, such as most polls, fit into a few packets
COMPRESSED_TYPES = ("application/json", "text/csv")
COMPRESSION_LEVEL = 4
ACCEPT_ENCODING_MAX = 256  # characters; a longer one is not read

Value = TypeVar("Value")


def etag_of(content: bytes) -> str:
    """Strong ETag of a response body."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def matches(request: Request, etag: str) -> bool:
    """Whether If-None-Match contains this ETag."""
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
    """Response to a GET with its ETag; 304 without a body if If-None-Match contains the ETag. Large text is compressed with gzip.

    Parameters
    ----------
    immutable : the content never changes, so private caches may keep it
    retry_after_seconds : for resources that are pending or running
    """
    content = body if isinstance(body, bytes) else body.model_dump_json().encode()
    etag = etag_of(content)
    fields = dict(headers or {})
    compressible = len(content) >= COMPRESSED_BYTES_MIN and media_type.startswith(COMPRESSED_TYPES)
    compressed = compressible and accepts_gzip(request)
    fields["ETag"] = f"W/{etag}" if compressed else etag  # weak: of the same content in other bytes
    fields["Cache-Control"] = "private, max-age=86400, immutable" if immutable else "private, no-cache"
    if retry_after_seconds is not None:
        fields["Retry-After"] = str(retry_after_seconds)
    if compressible:
        fields["Vary"] = ", ".join(filter(None, (fields.get("Vary"), "Accept-Encoding")))
    if matches(request, etag):
        return Response(status_code=304, headers=fields)
    if compressed:
        content = gzip.compress(content, COMPRESSION_LEVEL, mtime=0)
        fields["Content-Encoding"] = "gzip"
    return Response(content, media_type=media_type, headers=fields)


def accepts_gzip(request: Request) -> bool:
    """Whether Accept-Encoding names gzip, and not with weight 0."""
    accepted = request.headers.get("accept-encoding", "")
    for coding in accepted.split(",") if len(accepted) <= ACCEPT_ENCODING_MAX else ():
        name, _, weight = coding.partition(";")
        if name.strip().lower() == "gzip":
            return re.fullmatch(r"q=0\.?0{0,3}", weight.replace(" ", "")) is None
    return False


async def _wait_seconds(
    prefer: Annotated[
        str | None, Header(description="`wait=N` delays the response until the state is final, at most N <= 60 seconds.")
    ] = None,
) -> float:
    return parse_wait(prefer)


def parse_wait(prefer: str | None) -> float:
    """Wait in seconds that a Prefer header asks for, at most MAX_WAIT_SECONDS; 0 if it asks for none."""
    found = re.search(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})", prefer or "")
    return float(min(int(found.group(1)), MAX_WAIT_SECONDS)) if found else 0.0


WaitSeconds = Annotated[float, Depends(_wait_seconds)]


async def poll(
    admitted: Admitted, session: Session, read: Callable[[], Value], done: Callable[[Value], bool], wait_seconds: float
) -> Value:
    """Call `read` in a thread until `done`, until `wait_seconds` have passed, or until the process is to end.

    Holds no thread, slot and connection between calls.

    While too many requests wait already, the value is returned at once: `Prefer` states a preference.
    """
    until = monotonic() + wait_seconds
    pause = MIN_POLL_SECONDS
    async with admitted.paused(session):
        value = await admitted.run(read)
        if done(value) or not admitted.begin_wait():
            return value
        try:
            while not done(value) and (left := until - monotonic()) > 0 and not admitted.shutdown.began:
                await admitted.shutdown.sleep(min(pause, left))
                pause = min(2 * pause, MAX_POLL_SECONDS)
                value = await admitted.run(read)
        finally:
            admitted.end_wait()
    return value
