"""A reporter for stages and queries that a test runs in its own process."""

from __future__ import annotations

from worker.sandbox.messages import JsonObject


class SilentReporter:
    """A reporter that discards every report."""

    def progress(self, done: int, total: int) -> None: ...

    def output(self, name: str, details: JsonObject | None = None) -> None: ...
