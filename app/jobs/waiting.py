"""A response that is computed when it is sent, after the transaction is committed and its connection is released."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Response
from starlette.types import Receive, Scope, Send


class LaterResponse(Response):
    """Answers with the response of `later`; an Idempotency-Key keeps `now`.

    A long poll inside the route's function would hold the transaction open that the job must first be committed by.
    """

    def __init__(self, now: Response, later: Callable[[], Awaitable[Response]]) -> None:
        super().__init__(now.body, now.status_code)
        self.raw_headers = now.raw_headers
        self._later = later

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._later()
        await response(scope, receive, send)
