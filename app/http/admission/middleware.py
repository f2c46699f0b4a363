"""Middleware that refuses requests beyond capacity at once, before authentication and before their bodies are read."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Unavailable
from app.http.admission.admitted import Admitted
from app.http.admission.bodies import Body, is_stored
from app.http.admission.capacity import Capacity
from app.http.admission.clients import Client, client_of
from app.http.admission.known_keys import KnownKeys
from app.http.middleware import QUIET_ROUTES
from app.http.problems import api_error_response
from app.settings import Settings

RETRY_AFTER_SECONDS = 2
SEND_SECONDS = 60.0  # for a client to read what it was sent
SMALL_BODY_BYTES = 64 << 10  # what a refused request has not sent yet is read to its end up to this size


class AdmissionMiddleware:
    """Pure ASGI, so that streams are not buffered."""

    def __init__(self, app: ASGIApp, capacity: Capacity, known_keys: KnownKeys, settings: Settings) -> None:
        self.app = app
        self._capacity = capacity
        self._known_keys = known_keys
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET_ROUTES:
            await self.app(scope, receive, send)
            return
        client = client_of(scope, self._settings.api_key_secret)
        scope["state"]["client"] = client
        name = self._counted_as(client)
        if not self._capacity.requests.add(name):
            await api_error_response(scope["state"]["request_id"], _over_capacity())(scope, receive, _closing(send))
            return
        budget = self._capacity.stored_bodies if is_stored(scope) else self._capacity.memory_bodies
        body = Body(scope, receive, budget, name, self._settings.body_min_bytes_per_second)
        admitted = scope["state"]["admitted"] = Admitted(self._capacity, name)
        try:
            await self.app(scope, body.receive, _bounded(send, body))
        finally:
            body.end()
            admitted.end()

    def _counted_as(self, client: Client) -> str:
        """Name under which a request is counted: its key where the key can be valid, otherwise its address."""
        key = client.key_digest
        if key is None or client.has_checksum is False or (client.has_checksum is None and not self._known_keys.is_known(key)):
            return f"address {client.address}"
        return f"key {key}"


def _over_capacity() -> Unavailable:
    return Unavailable(
        "The service has too many requests at this moment, or you have too many in progress; try again shortly.",
        code="over_capacity",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def _closing(send: Send) -> Send:
    """Close the connection after the answer: its body may still arrive."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Connection"] = "close"
        await send(message)

    return closing


def _bounded(send: Send, body: Body) -> Send:
    """Send with a deadline; close the connection after an answer that came before the whole body."""
    finishing = _closing(send)

    async def bounded(message: Message) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await (send if body.complete else finishing)(message)

    return bounded
