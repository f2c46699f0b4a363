"""The application of one server process."""

from __future__ import annotations

import gc
import sys

from fastapi import FastAPI

from app.http.admission.early_refusal import EarlyRefusal
from app.main import create_app
from app.server.protocol import DeadlineProtocol
from app.settings import get_settings

SWITCH_SECONDS = 0.001  # a thread that computes gives the event loop its turn after this time, 5 ms by default


def create_served_app() -> FastAPI:
    """Build the API, and set what applies to the whole process."""
    settings = get_settings()
    DeadlineProtocol.header_seconds = settings.header_timeout_seconds
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings)
    DeadlineProtocol.process_shutdown = app.state.capacity.shutdown
    DeadlineProtocol.early_refusal = EarlyRefusal(
        app.state.capacity,
        app.state.known_keys,
        settings.api_key_secret,
        app.state.request_metrics.count_refusal,
        trusts_proxies=bool(settings.trusted_proxies),
    )
    gc.collect()
    gc.freeze()  # a full collection over the application's own objects holds all threads for longer than a request takes
    return app
