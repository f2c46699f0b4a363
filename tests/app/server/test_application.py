"""The application of a server process."""

from __future__ import annotations

import gc
import sys

import pytest

from app.server import application
from app.server.protocol import DeadlineProtocol
from app.settings import Settings


def test_full_garbage_collections_of_a_server_process_leave_out_the_application(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "get_settings", lambda: settings)
    monkeypatch.setattr(application, "SWITCH_SECONDS", sys.getswitchinterval())
    for name in ("header_seconds", "process_shutdown", "early_refusal"):
        monkeypatch.setattr(DeadlineProtocol, name, getattr(DeadlineProtocol, name))
    try:
        app = application.create_served_app()
        assert gc.get_freeze_count() > 100_000
        assert not any(one is app.router for one in gc.get_objects()), "collections do not visit what existed at the start"
    finally:
        gc.unfreeze()
    app.state.engine.dispose()
