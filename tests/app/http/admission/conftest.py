"""The API on a real socket, with the protocol that it is served with."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from app.http.admission.early_refusal import EarlyRefusal
from app.main import create_app
from app.server.protocol import DeadlineProtocol
from app.settings import Settings
from support.raw_http import Connect, Serve


@pytest.fixture
def serve(settings: Settings) -> Iterator[Serve]:
    """`serve(requests_max=2)`: an API with these settings on a socket; returns a function that connects to it."""
    ending: list[Any] = []

    def start(**changes: Any) -> Connect:
        running = _served(settings.model_copy(update=changes))
        port = running.__enter__()
        ending.append(running)
        return lambda: socket.create_connection(("127.0.0.1", port), timeout=30)

    yield start
    for running in ending:
        running.__exit__(None, None, None)


@contextmanager
def _served(settings: Settings) -> Generator[int]:
    app = create_app(settings)

    class Protocol(DeadlineProtocol):
        header_seconds = settings.header_timeout_seconds
        early_refusal = EarlyRefusal(
            app.state.capacity,
            app.state.known_keys,
            settings.api_key_secret,
            app.state.request_metrics.count_refusal,
            trusts_proxies=False,
        )

    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1, http=Protocol, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "The server did not start."
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)
    app.state.engine.dispose()
