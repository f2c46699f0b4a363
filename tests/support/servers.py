"""PostgreSQL and Redis as processes that a test may stop, and polling for changes by other processes."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from app.local.servers import EmbeddedPostgres, EmbeddedRedis

T = TypeVar("T")
START_TIMEOUT_SECONDS = 60


class WaitUntil(Protocol):
    """Polls a condition until it returns something true; returns that."""

    def __call__(self, condition: Callable[[], T | None], timeout_seconds: float = 30, what: str = "the condition") -> T: ...


def poll(condition: Callable[[], T | None], timeout_seconds: float = 30, what: str = "the condition") -> T:
    """Poll `condition` until it returns something true; fail the test after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"Timeout after {timeout_seconds:g} s of waiting for {what}.")
        time.sleep(0.02)


class ServerProcess:
    """Embedded server that a test may stop, kill and start again under the same address."""

    def __init__(self, server: EmbeddedPostgres | EmbeddedRedis, log: Path) -> None:
        self.server = server
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url("iis") if isinstance(self.server, EmbeddedPostgres) else self.server.url

    def start(self) -> None:
        self.server.prepare()
        identity = self.server.identity if isinstance(self.server, EmbeddedPostgres) else {}
        user, group, groups = (identity.get(name) for name in ("user", "group", "extra_groups"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.server.command, stdout=log, stderr=log, cwd="/", start_new_session=True, user=user, group=group, extra_groups=groups
            )
        poll(self.server.answers, START_TIMEOUT_SECONDS, f"{self.server.command[0]} to answer")

    def stop(self) -> None:
        """Stop the server by SIGINT: PostgreSQL closes open connections, Redis saves its data."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(START_TIMEOUT_SECONDS)
            self.process = None
