"""Print results to standard output, progress and errors to standard error. This module calls no service."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.segment import Segment

from iis_client.cli.output.control_characters import without_control_characters
from iis_client.cli.output.fields import csv_text
from iis_client.cli.output.finetuning import epoch_line
from iis_client.cli.output.job_counts import other_states, progress_summary
from iis_client.cli.output.stages import StageBars, StageLines
from iis_client.cli.settings.options import OutputForm
from iis_client.errors import UnexpectedAnswerError
from iis_schemas.names import FINISHED_STATES

if TYPE_CHECKING:
    from pydantic import BaseModel

    from iis_client.transport.uploads import UploadProgress
    from iis_schemas.jobs.events import EventView
    from iis_schemas.jobs.views import AnyJobView
    from iis_schemas.studies.views import StudyView

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
        if not self.err.is_terminal:
            yield None
            self.note(f"Upload {path.name}: done.")
            return
        columns = (_DESCRIPTION, BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task(f"Upload {path.name}", total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)

    @contextmanager
    def spinner(self, activity: str) -> Generator[None]:
        """Spinner while the client waits."""
        with self.err.status(f"{activity} …"):  # shown in a terminal alone
            yield
        self.err.print(f"{activity}: done.")

    def watch(self, job: str, events: Iterator[EventView], read: Callable[[], AnyJobView]) -> None:
        """Show the stages of a job until its events end: bars with the remaining time, or without a terminal a line for each.

        Parameters
        ----------
        read : the job as it is now
        """
        position = read().queue_position
        self.err.print(f"Job {job}" + ("" if position is None else f" is at position {position} in the queue"))
        warnings: set[str] = set()  # several stages may repeat one
        listed = False
        with self._stages() as stages:
            for event in events:
                data = cast("dict[str, Any]", event.data)
                if event.type == "warning" and data["message"] not in warnings:
                    warnings.add(data["message"])
                    stages.console.print(f"Warning: {data['message']}", style="yellow", soft_wrap=True)
                if event.type == "epoch":
                    stages.console.print(epoch_line(data))
                if event.type == "stage" and not listed:
                    stages.list(read().stages or ())
                    listed = True
                if event.type == "progress":
                    stages.overall(data.get("overall"))
                    stages.advance(data["title"], data["done"], data["total"] or None, _remaining(data))
                if event.type == "stage":
                    stages.change(data["title"], data["state"])

    @contextmanager
    def _stages(self) -> Generator[StageBars | StageLines]:
        if not self.err.is_terminal:
            yield StageLines(self.err)
            return
        columns = (_DESCRIPTION, BarColumn(), TextColumn("{task.fields[remaining]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            yield StageBars(bars)

    def watch_study(self, updates: Iterator[StudyView]) -> StudyView:
        """Progress bar of the finished jobs until the study has finished; return the last update."""
        if not self.err.is_terminal:
            return self._watch_study_by_lines(updates)
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

    def _watch_study_by_lines(self, updates: Iterator[StudyView]) -> StudyView:
        shown = ""
        for study in updates:
            line = f"Jobs: {progress_summary(study.jobs)}."
            if line != shown:
                self.note(line)
            if study.state == "finished":
                return study
            shown = line
        raise UnexpectedAnswerError("The updates of a study ended before it had finished.")

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

    def answer(
        self,
        answer: BaseModel | Sequence[BaseModel],
        view: Iterable[RenderableType],
        *,
        as_json: bool,
        output: OutputForm = OutputForm.table,
    ) -> None:
        """Print an answer of the service: its JSON, CSV with one row per item, or its view."""
        if as_json or output is OutputForm.json:
            self.json(answer)
        elif output is OutputForm.csv:
            self.out.print(csv_text(answer), soft_wrap=True, end="")
        else:
            self.show(*view)

    def saved(self, path: Path) -> None:
        """Print the path of a saved file."""
        self.err.print(f"Saved {path}")

    def error(self, sentence: str, note: str | None = None) -> None:
        """Print an error as one sentence."""
        _plain_console(stderr=True).print(f"Error: {sentence}" + (f" ({note})" if note else ""), style="red", soft_wrap=True)


class SafeConsole(Console):
    """Console that leaves control characters out of text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Segments of text without control characters, and rich's own control segments."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(without_control_characters(segment.text), segment.style)


def _plain_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Console without markup and emoji, since names can contain brackets and colons."""
    return SafeConsole(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)


def _remaining(progress: dict[str, Any]) -> str:
    """Time left in a stage, and how many workers share it."""
    eta_seconds, workers = progress["eta_seconds"], (progress.get("tasks") or {}).get("workers", 1)
    parts = [] if eta_seconds is None else [f"{eta_seconds:.0f} s left"]
    return ", ".join([*parts, f"{workers} workers"] if workers > 1 else parts)
