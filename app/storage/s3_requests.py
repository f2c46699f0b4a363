"""S3 file system whose requests have a total deadline."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import fsspec
from aiobotocore.httpsession import AIOHTTPSession
from botocore.exceptions import BotoCoreError

READ_TIMEOUT_SECONDS = 15.0
WRITE_TIMEOUT_SECONDS = 60.0  # for a part of 50 MiB, or a copy inside the server
CLIENT = {"connect_timeout": 3, "read_timeout": 60, "retries": {"total_max_attempts": 1}}  # s3fs retries


class RequestTimeoutError(BotoCoreError):
    """The server did not answer a request in time. Unlike connection errors, s3fs does not retry it."""

    fmt = "no response within {seconds:g} s"


class DeadlineSession(AIOHTTPSession):
    """aiobotocore's session with a deadline for each request, from its first byte to the response headers.

    `read_timeout` starts after the body is sent, so it does not cover a server that accepts no bytes or never sends "100 Continue".
    """

    async def send(self, request: Any) -> Any:
        """Send a prepared request.

        Raises
        ------
        RequestTimeoutError
        """
        seconds = READ_TIMEOUT_SECONDS if request.method in {"GET", "HEAD"} else WRITE_TIMEOUT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await super().send(request)
        except TimeoutError as error:
            raise RequestTimeoutError(seconds=seconds) from error


def open_s3(url: str, endpoint_url: str | None) -> tuple[Any, str]:
    """File system of `s3://bucket/prefix`, and the path of the prefix in it."""
    client = {**CLIENT, "http_session_cls": DeadlineSession}
    # No listings cache, because other processes write here too.
    opened = fsspec.url_to_fs(url, endpoint_url=endpoint_url, use_listings_cache=False, config_kwargs=client)
    return cast("tuple[Any, str]", opened)
