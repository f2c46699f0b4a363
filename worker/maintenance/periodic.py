"""A thread that repeats one piece of maintenance."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Periodic:
    """Call `work` every `interval_seconds`, at once when it takes longer; errors are logged and do not end the thread."""

    def __init__(self, name: str, interval_seconds: float, work: Callable[[], object]) -> None:
        self._name = name
        self._interval_seconds = interval_seconds
        self._work = work
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Wait for the end of the current call."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                self._work()
            except Exception:  # the boundary: this thread must survive every error
                log.exception("maintenance_crashed", name=self._name)
            self._closing.wait(max(0.0, self._interval_seconds - (time.monotonic() - began)))
