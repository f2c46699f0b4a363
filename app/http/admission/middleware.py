"""Middleware that refuses requests beyond capacity at once, before authentication and before their bodies are read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Unavailable
from app.http.admission.admitted import Admitted
from app.http.admission.bodies import Body, is_stored
from app.http.admission.capacity import Capacity
from app.http.admission.clients import client_of, counted_as, is_unknown
from app.http.admission.known_keys import KnownKeys
from app.http.admission.refusals import over_capacity
from app.http.middleware import QUIET_ROUTES
from app.http.problems import api_error_response
from app.settings import Settings

SEND_SECONDS = 60.0  # for a client to read what it was sent


class AdmissionMiddleware:
    """Pure ASGI, so that streams are not buffered."""

    def __init__(self, app: ASGIApp, capacity: Capacity, known_keys: KnownKeys[Any], settings: Settings) -> None:
        self.app = app
        self._capacity = capacity
        self._known_keys = known_keys
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = client_of(scope, self._settings.api_key_secret)
        scope["state"]["client"] = client
        name = f"probe {client.address}" if scope["path"] in QUIET_ROUTES else counted_as(client, self._known_keys)
        takes_turn = scope["path"] not in QUIET_ROUTES and is_unknown(client, self._known_keys)
        if not self._add(name, client.address if takes_turn else None):
            await api_error_response(scope["state"]["request_id"], over_capacity())(scope, receive, send)
            return
        budget = self._capacity.stored_bodies if is_stored(scope) else self._capacity.memory_bodies
        admitted = scope["state"]["admitted"] = Admitted(self._capacity, name)
        body = Body(scope, receive, budget, lambda: admitted.client, self._settings.body_min_bytes_per_second)
        end_turn: Callable[[], None] | None = None
        try:
            if takes_turn:
                end_turn = await self._capacity.unknown_clients.take_turn(client.address)
            await self.app(scope, body.receive, _with_deadline(send))
        except Unavailable as error:  # no turn in time; the app answers its own errors
            await api_error_response(scope["state"]["request_id"], error)(scope, receive, send)
        finally:
            if end_turn is not None:
                end_turn()
            body.end()
            admitted.end()

    def _add(self, name: str, unknown_address: str | None) -> bool:
        """Count a request, and that of an unknown client by its address too; False, and nothing is counted, beyond a bound."""
        if not self._capacity.requests.add(name):
            return False
        if unknown_address is None or self._capacity.unknown_clients.add(unknown_address):
            return True
        self._capacity.requests.remove(name)
        return False


def _with_deadline(send: Send) -> Send:
    """End a request whose client does not read its answer."""

    async def bounded(message: Message) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)

    return bounded
