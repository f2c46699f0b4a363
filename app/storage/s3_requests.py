"""Requests to S3 that end: one that the server leaves without an answer is given up, whatever it was doing when the server fell silent."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import fsspec
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import BotoCoreError

READ_SECONDS = 15.0
WRITE_SECONDS = 60.0  # a part of 50 MiB, or a copy that the server makes before it answers
CLIENT = {"connect_timeout": 3, "read_timeout": 60, "retries": {"total_max_attempts": 1}}  # it is s3fs that tries again


class SilenceError(BotoCoreError):
    """The server did not answer a request in time. s3fs tries again after errors of the connection, but not after this."""

    fmt = "the server was silent for {seconds:g} s"


class EndingSession(AIOHTTPSession):
    """aiobotocore's own session with a deadline on every request, from its first byte to the head of its answer.

    `read_timeout` begins once a body is sent: alone, it would wait for ever for a server that takes no bytes or never says "100 Continue".
    """

    async def send(self, request: Any) -> Any:
        """Send a prepared request; SilenceError when the deadline passes."""
        seconds = READ_SECONDS if request.method in {"GET", "HEAD"} else WRITE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await super().send(request)
        except TimeoutError as error:
            raise SilenceError(seconds=seconds) from error


def open_s3(url: str, endpoint_url: str | None) -> tuple[Any, str]:
    """The file system of `s3://bucket/prefix`, and the path of the prefix in it."""
    client = {**CLIENT, "http_session_cls": EndingSession}
    # Other processes write here too, so listings are never remembered.
    found = fsspec.url_to_fs(url, endpoint_url=endpoint_url, use_listings_cache=False, config_kwargs=client)
    return cast("tuple[Any, str]", found)
