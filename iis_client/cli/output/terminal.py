"""Print results to standard output, progress and errors to standard error. This module calls no service."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.segment import Segment

from iis_client.cli.output.finetuning import epoch_line
from iis_client.cli.output.job_counts import other_states
from iis_schemas.names import FINISHED_STATES

if TYPE_CHECKING:
    from pydantic import BaseModel

    from iis_client.transport.uploads import UploadProgress
    from iis_schemas.jobs.events import EventView
    from iis_schemas.studies.views import StudyView

# C0 but tab and line feed, DEL, C1, and marks that change the direction of text.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_DESCRIPTION = TextColumn("{task.description}", markup=False)  # it can contain a file name


class Terminal:
    """Consoles for standard output and standard error, so that standard output can be piped.

    Parameters
    ----------
    quiet : show no progress
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = _plain_console()
        self.err = _plain_console(stderr=True, quiet=quiet)

    @contextmanager
    def upload_bar(self, path: Path | None) -> Generator[UploadProgress | None]:
        """Progress bar of one upload."""
        if path is None:
            yield None
            return
        columns = (_DESCRIPTION, BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task(f"Upload {path.name}", total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)

    @contextmanager
    def spinner(self, activity: str) -> Generator[None]:
        """Spinner while the client waits."""
        with self.err.status(f"{activity} …"):
            yield
        self.err.print(f"{activity}: done.")

    def watch(self, job: str, events: Iterator[EventView]) -> None:
        """One progress bar per stage with the remaining time, until the events end."""
        self.err.print(f"Job {job}")
        columns = (_DESCRIPTION, BarColumn(), TextColumn("{task.fields[remaining]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            stages: dict[str, TaskID] = {}
            warnings: set[str] = set()  # several stages may repeat one
            for event in events:
                data = cast("dict[str, Any]", event.data)
                if event.type == "warning" and data["message"] not in warnings:
                    warnings.add(data["message"])
                    bars.console.print(f"Warning: {data['message']}", style="yellow")
                if event.type == "epoch":
                    bars.console.print(epoch_line(data))
                if event.type not in ("stage", "progress"):
                    continue
                stage = data["title"]
                if stage not in stages:
                    stages[stage] = bars.add_task(stage, total=None, remaining="")
                if event.type == "progress":
                    bars.update(stages[stage], completed=data["done"], total=data["total"] or None, remaining=_remaining(data))
                elif data["state"] in ("finished", "reused"):
                    _finish(bars, stages[stage], "reused" if data["state"] == "reused" else "")

    def watch_study(self, updates: Iterator[StudyView]) -> StudyView:
        """Progress bar of the finished jobs until the study has finished; return the last update."""
        columns = (_DESCRIPTION, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[others]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task("Jobs", total=None, others="")
            while True:
                study = next(updates)
                jobs = study.jobs
                finished = sum(getattr(jobs, state) for state in FINISHED_STATES)
                others = ", ".join(other_states(jobs))
                bars.update(bar, completed=finished, total=jobs.total, others=others)
                if study.state == "finished":
                    return study

    def show(self, *renderables: RenderableType) -> None:
        """Print tables and lines without cropping them to the terminal."""
        for renderable in renderables:
            self.out.print(renderable, crop=False)

    def json(self, answer: BaseModel | Sequence[BaseModel]) -> None:
        """Print the JSON that the service sent, for programs."""
        from iis_client.transport.messages import answer_json

        self.out.print(json.dumps(answer_json(answer), indent=2), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Print one sentence to standard error."""
        self.err.print(sentence, soft_wrap=True)

    def answer(self, answer: BaseModel | Sequence[BaseModel], view: Iterable[RenderableType], *, as_json: bool) -> None:
        """Print an answer of the service: its JSON, or its view."""
        if as_json:
            self.json(answer)
        else:
            self.show(*view)

    def saved(self, path: Path) -> None:
        """Print the path of a saved file."""
        self.err.print(f"Saved {path}")

    def error(self, sentence: str, note: str | None = None) -> None:
        """Print an error as one sentence."""
        _plain_console(stderr=True).print(f"Error: {sentence}" + (f" ({note})" if note else ""), style="red", soft_wrap=True)


class SafeConsole(Console):
    """Console that leaves control characters out of text: names and messages of the service could hold escape sequences."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Segments of text without control characters, and rich's own control segments."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_CONTROL_CHARACTERS.sub("", segment.text), segment.style)


def _plain_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Console without markup and emoji, since names can contain brackets and colons."""
    return SafeConsole(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)


def _remaining(progress: dict[str, Any]) -> str:
    """Time left in a stage, and how many workers share it."""
    eta_seconds, workers = progress["eta_seconds"], (progress.get("tasks") or {}).get("workers", 1)
    parts = [] if eta_seconds is None else [f"{eta_seconds:.0f} s left"]
    return ", ".join([*parts, f"{workers} workers"] if workers > 1 else parts)


def _finish(bars: Progress, bar: TaskID, note: str) -> None:
    total = next(task.total for task in bars.tasks if task.id == bar) or 1
    bars.update(bar, completed=total, total=total, remaining=note)
