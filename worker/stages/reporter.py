"""Interface through which a stage reports progress and finished files."""

from __future__ import annotations

from typing import Protocol

from worker.sandbox.messages import JsonObject


class Reporter(Protocol):
    """Sends a stage's progress and finished files to the worker."""

    def progress(self, done: int, total: int) -> None: ...

    def output(self, name: str, details: JsonObject | None = None) -> None: ...
