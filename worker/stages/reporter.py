"""The interface through which a stage reports progress and finished files."""

from __future__ import annotations

from typing import Any, Protocol


class Reporter(Protocol):
    """How a stage tells the parent how far it is."""

    def progress(self, done: int, total: int) -> None: ...

    def output(self, name: str, about: dict[str, Any] | None = None) -> None: ...
