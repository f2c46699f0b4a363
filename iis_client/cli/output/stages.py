"""Stages of a running job: bars in a terminal, and elsewhere a line for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class StageBars:
    """One bar per stage with the remaining time."""

    def __init__(self, bars: Progress) -> None:
        self.console = bars.console
        self._bars = bars
        self._stages: dict[str, TaskID] = {}

    def advance(self, title: str, done: int, total: int | None, remaining: str) -> None:
        """Show how far a stage is."""
        self._bars.update(self._stage(title), completed=done, total=total, remaining=remaining)

    def change(self, title: str, state: str) -> None:
        """Show that a stage has started, or has finished or was reused."""
        bar = self._stage(title)
        if state in ("finished", "reused"):
            total = next(task.total for task in self._bars.tasks if task.id == bar) or 1
            self._bars.update(bar, completed=total, total=total, remaining="reused" if state == "reused" else "")

    def _stage(self, title: str) -> TaskID:
        if title not in self._stages:
            self._stages[title] = self._bars.add_task(title, total=None, remaining="")
        return self._stages[title]


class StageLines:
    """One line per stage when it has finished, with the seconds since it started."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started: dict[str, float] = {}

    def advance(self, title: str, done: int, total: int | None, remaining: str) -> None:
        """Print nothing: logs need no counts."""
        del done, total, remaining
        self._started.setdefault(title, time.monotonic())

    def change(self, title: str, state: str) -> None:
        """Print a stage that has finished or was reused."""
        started = self._started.setdefault(title, time.monotonic())
        if state == "finished":
            self.console.print(f"{title}: {time.monotonic() - started:.0f} s", soft_wrap=True)
        elif state == "reused":
            self.console.print(f"{title}: reused", soft_wrap=True)
