"""Print results to standard output, progress and errors to standard error. This module calls no service."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
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
from rich.table import Table

from iis_client.cli.output.concepts import format_counts
from iis_client.cli.output.finetuning import epoch_line, finetune_view
from iis_client.cli.output.jobs import job_table
from iis_client.transport.uploads import UploadProgress
from iis_client.types.batches import BatchJob, BatchResult
from iis_client.types.finetuning import FinetuneJob, FinetuneResult
from iis_client.types.scores import FINISHED_STATES, Event, Job, Report, Result, shown
from iis_client.types.studies import Study

STAGE_TITLES = {
    "materialise": "Fetch checkpoint and images",
    "extract": "Compute features",
    "embed_images": "Embed the images",
    "embed_phrases": "Embed the phrases",
    "embed_classes": "Embed the class names",
    "libraries": "Fit the concept library",
    "name": "Name the concepts",
    "heads": "Fit the heads of all sparsities",
    "control": "Measure the random control",
    "curve": "Compute the curve",
    "explain": "Find exemplars",
    "report": "Write the report",
    "finetune": "Train",
    "evaluate": "Score the trained networks",
    "compare": "Compare the arms",
}
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

    def watch(self, job: str, events: Iterator[Event]) -> None:
        """One progress bar per stage with the remaining time, until the events end."""
        self.err.print(f"Job {job}")
        columns = (_DESCRIPTION, BarColumn(), TextColumn("{task.fields[remaining]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            stages: dict[str, TaskID] = {}
            for event in events:
                data = event["data"]
                if event["type"] == "warning":
                    bars.console.print(f"Warning: {data['message']}", style="yellow")
                if event["type"] == "epoch":
                    bars.console.print(epoch_line(data))
                if event["type"] not in ("stage", "progress"):
                    continue
                stage = _stage_title(data["stage"], data.get("part"))
                if stage not in stages:
                    stages[stage] = bars.add_task(stage, total=None, remaining="")
                if event["type"] == "progress":
                    bars.update(
                        stages[stage], completed=data["done"], total=data["total"] or None, remaining=_remaining(data["eta_seconds"])
                    )
                elif data["state"] in ("finished", "reused"):
                    _finish(bars, stages[stage], "reused" if data["state"] == "reused" else "")

    def watch_study(self, updates: Iterator[Study]) -> Study:
        """Progress bar of the finished jobs until the study has finished; return the last update."""
        columns = (_DESCRIPTION, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[others]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task("Jobs", total=None, others="")
            while True:
                study = next(updates)
                jobs = study["jobs"]
                finished = sum(jobs[state] for state in FINISHED_STATES)
                others = ", ".join(f"{jobs[state]} {state}" for state in ("running", "canceling", "failed", "canceled") if jobs[state])
                bars.update(bar, completed=finished, total=jobs["total"], others=others)
                if study["state"] == "finished":
                    return study

    def show(self, *renderables: RenderableType) -> None:
        """Print tables and lines without cropping them to the terminal."""
        for renderable in renderables:
            self.out.print(renderable, crop=False)

    def json(self, value: Any) -> None:
        """Print the service's JSON, for programs."""
        self.out.print(json.dumps(value, indent=2), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Print one sentence to standard error."""
        self.err.print(sentence, soft_wrap=True)

    def show_job(self, job: Job | FinetuneJob, as_json: bool) -> None:
        """Print a submitted job."""
        if as_json:
            self.json(job)
            return
        self.out.print(f"Job {job['id']} is {job['state']}. Show its result with: iis result {job['id']} --watch")

    def show_jobs(self, jobs: Sequence[Job | BatchJob | FinetuneJob], as_json: bool) -> None:
        """Print a table of jobs."""
        if as_json:
            self.json(jobs)
            return
        self.show(job_table(jobs))

    def show_result(self, job: Job, result: Result, as_json: bool) -> None:
        """Print the scores of a report and its curve."""
        if as_json:
            self.json(result)
            return
        report = result["report"]
        library = report["library"]
        table = Table(
            "", "value", "95 % interval", title=f"{library['kind']}, {library['concept_count']} concepts, protocol {report['protocol']}"
        )
        for row in _rows(report):
            table.add_row(*row)
        self.out.print(table)
        self.show(*_vocabulary_lines(job, report))
        curve = Table("sparsity", "concepts kept", "accuracy", "ARR", "95 % interval", "ARR, random directions", title="Accuracy retention")
        random_arr = {point["kept"]: point["arr"] for point in report["random_points"]}
        for point in report["points"]:
            control = f"{random_arr[point['kept']]:.3f}" if point["kept"] in random_arr else ""
            interval = f"{point['arr_low']:.3f} to {point['arr_high']:.3f}"
            curve.add_row(
                f"{point['sparsity']:.3f}", str(point["kept"]), f"{point['accuracy']:.3f}", f"{point['arr']:.3f}", interval, control
            )
        self.out.print(curve)
        for warning in report["warnings"]:
            self.out.print(f"Warning: {warning}", style="yellow")

    def show_batch(self, result: BatchResult, as_json: bool) -> None:
        """Print the summary of a finished batch of explanations."""
        if as_json:
            self.json(result)
            return
        found = result["summary"]
        explained = found["count"] - found["failed"]
        self.show(
            f"{explained} of {found['count']} images were explained by {result['kept']} concepts of job {result['explained']}.",
            f"Agreement of representation and interpretation: {found['agreement']:.3f}.",
        )
        if found["accuracy_interpretation"] is not None:
            accuracies = f"representation {shown(found['accuracy_representation'])}, interpretation {found['accuracy_interpretation']:.3f}"
            self.show(f"Accuracy: {accuracies}.")
        self.show(f"Download all rows from {result['links']['rows.jsonl']} or {result['links']['rows.parquet']}.")

    def show_finetune(self, result: FinetuneResult, as_json: bool) -> None:
        """Print the result of fine-tuning."""
        if as_json:
            self.json(result)
        else:
            self.show(*finetune_view(result))

    def show_state(self, job: Job) -> None:
        """Print the state of a job."""
        self.out.print(f"Job {job['id']} is {job['state']}.")

    def saved(self, path: Path) -> None:
        """Print the path of a saved file."""
        self.err.print(f"Saved {path}")

    def error(self, sentence: str, note: str | None = None) -> None:
        """Print an error as one sentence."""
        _plain_console(stderr=True).print(f"Error: {sentence}" + (f" ({note})" if note else ""), style="red", soft_wrap=True)


def _plain_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Console without markup and emoji, since names can contain brackets and colons."""
    return Console(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)


def _rows(report: Report) -> Iterator[tuple[str, str, str]]:
    accuracy = f"{report['accuracy_representation_low']:.3f} to {report['accuracy_representation_high']:.3f}"
    yield "Accuracy of the representation", f"{report['accuracy_representation']:.3f}", accuracy
    yield "IIS", shown(report["iis"]), _interval(report["iis_low"], report["iis_high"])
    yield "IIS of random directions", shown(report["iis_random_mean"]), ""
    yield "Standard deviation of the same", shown(report["iis_random_sd"]), ""
    yield "Concept gain", shown(report["concept_gain"], "+.3f"), _interval(report["concept_gain_low"], report["concept_gain_high"], "+.3f")
    yield "IIS, chance-corrected", shown(report["iis_chance_corrected"]), ""
    yield "IIS over log k", shown(report["iis_log"]), ""

    text, names = report["library"].get("text"), report["library"].get("names")
    if text is not None:
        yield "Phrases kept", f"{text['kept']} of {text['candidates']}", ""
        yield "Mean similarity on held-out images", shown(text["similarity_mean"]), ""
        if text["zero_shot_accuracy"] is not None:
            zero_shot = _interval(text["zero_shot_low"], text["zero_shot_high"])
            yield "Zero-shot accuracy of the VLM", shown(text["zero_shot_accuracy"]), zero_shot
    if names is not None:
        yield "Named concepts", f"{names['named']} of {names['named'] + names['unnamed']}", ""


def _vocabulary_lines(job: Job, report: Report) -> Iterator[str]:
    """Vocabulary of a text library, and counts of its excluded phrases."""
    vocabulary, text = job["vocabulary"], report["library"].get("text")
    if vocabulary is not None:
        yield f"Vocabulary: {vocabulary['id']}, version {vocabulary['version']}."
    if text is not None and text["dropped"]:
        yield f"Excluded phrases: {format_counts(text['dropped'])}. List them with: iis concepts {job['id']} --dropped"


def _interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _remaining(eta_seconds: float | None) -> str:
    return "" if eta_seconds is None else f"{eta_seconds:.0f} s left"


def _stage_title(stage: str, part: str | None) -> str:
    title = STAGE_TITLES.get(stage, stage.replace("_", " ").capitalize())
    return title if part is None else f"{title}: {part}"


def _finish(bars: Progress, bar: TaskID, note: str) -> None:
    total = next(task.total for task in bars.tasks if task.id == bar) or 1
    bars.update(bar, completed=total, total=total, remaining=note)
