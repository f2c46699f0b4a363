"""Stages of a running job: bars in a terminal, and elsewhere a line for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from iis_schemas.jobs.progress import JobStage


class StageBars:
    """One bar for the job, and one per stage with the remaining time."""

    def __init__(self, bars: Progress) -> None:
        self.console = bars.console
        self._bars = bars
        self._stages: dict[str, TaskID] = {}
        self._job: TaskID | None = None

    def list(self, stages: Sequence[JobStage]) -> None:
        """Show all stages from the start, with their expected times."""
        for stage in stages:
            expected = "" if stage.expected_seconds is None else f"about {stage.expected_seconds:.0f} s"
            self._bars.update(self._stage(stage.title), total=1, remaining=expected)
            self.change(stage.title, stage.state)

    def overall(self, overall: dict[str, Any] | None) -> None:
        """Show how far the job is."""
        if overall is None:
            return
        if self._job is None:
            self._job = self._bars.add_task("Job", total=1, remaining="")
        self._bars.update(self._job, completed=overall["share_done"], remaining=_overall_words(overall))

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
    """One line per stage when it has finished, with the seconds since it started and how far the job is."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started: dict[str, float] = {}
        self._overall = ""

    def list(self, stages: Sequence[JobStage]) -> None:
        """Print nothing: each stage has its line when it has finished."""

    def overall(self, overall: dict[str, Any] | None) -> None:
        """Remember how far the job is."""
        self._overall = "" if overall is None else f" ({_overall_words(overall)})"

    def advance(self, title: str, done: int, total: int | None, remaining: str) -> None:
        """Print nothing: logs need no counts."""
        del done, total, remaining
        self._started.setdefault(title, time.monotonic())

    def change(self, title: str, state: str) -> None:
        """Print a stage that has finished or was reused."""
        started = self._started.setdefault(title, time.monotonic())
        if state == "finished":
            self.console.print(f"{title}: {time.monotonic() - started:.0f} s{self._overall}", soft_wrap=True)
        elif state == "reused":
            self.console.print(f"{title}: reused", soft_wrap=True)


def _overall_words(overall: dict[str, Any]) -> str:
    eta_seconds = overall["eta_seconds"]
    left = "" if eta_seconds is None else f", {eta_seconds:.0f} s left in all"
    return f"{overall['tasks_done']} of {overall['tasks_total']} tasks{left}"
