"""What the `iis` command shows: results on standard output, progress and errors on standard error. No calls to the service here."""

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

from iis_client.cli.output.concepts import counted
from iis_client.cli.output.finetuning import epoch_line, finetune_view
from iis_client.cli.output.jobs import job_table
from iis_client.transport.uploads import Progress as SendProgress
from iis_client.types.batches import BatchJob, BatchResult
from iis_client.types.finetuning import FinetuneJob, FinetuneResult
from iis_client.types.scores import FINISHED_STATES, Event, Job, Report, Result, shown
from iis_client.types.studies import Study

STAGE_WORDS = {
    "materialise": "Fetch checkpoint and images",
    "extract": "Compute features",
    "embed_images": "Embed the images",
    "embed_phrases": "Embed the phrases",
    "embed_classes": "Embed the class names",
    "libraries": "Fit the concept library",
    "name": "Name the concepts",
    "heads": "Fit the heads of all sparsities",
    "control": "Measure the random control",
    "curve": "Draw the curve",
    "explain": "Find exemplars",
    "report": "Write the report",
    "finetune": "Train",
    "evaluate": "Score what was trained",
    "compare": "Compare the arms",
}
_DESCRIPTION = TextColumn("{task.description}", markup=False)  # it may have the name of a file


class Terminal:
    """Two consoles, so that standard output can be piped.

    Parameters
    ----------
    quiet : show no progress
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.out = _plain_console()
        self.err = _plain_console(stderr=True, quiet=quiet)

    @contextmanager
    def sending(self, path: Path | None) -> Generator[SendProgress | None]:
        """A bar for one upload."""
        if path is None:
            yield None
            return
        columns = (_DESCRIPTION, BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task(f"Upload {path.name}", total=None)
            yield lambda done, total: bars.update(bar, completed=done, total=total)

    @contextmanager
    def busy(self, what: str) -> Generator[None]:
        """A spinner while something is waited for."""
        with self.err.status(f"{what} …"):
            yield
        self.err.print(f"{what}: done.")

    def watch(self, job: str, events: Iterator[Event]) -> None:
        """A bar for each stage with the time that is left, until the events end."""
        self.err.print(f"Job {job}")
        columns = (_DESCRIPTION, BarColumn(), TextColumn("{task.fields[left]}"), TimeElapsedColumn())
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
                stage = _titled(data["stage"], data.get("part"))
                if stage not in stages:
                    stages[stage] = bars.add_task(stage, total=None, left="")
                if event["type"] == "progress":
                    bars.update(stages[stage], completed=data["done"], total=data["total"] or None, left=_left(data["eta_seconds"]))
                elif data["state"] in ("finished", "reused"):
                    _finish(bars, stages[stage], "reused" if data["state"] == "reused" else "")

    def watch_study(self, looks: Iterator[Study]) -> Study:
        """A bar of the jobs that have finished, until the study has; returns it as it was seen last."""
        columns = (_DESCRIPTION, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[others]}"), TimeElapsedColumn())
        with Progress(*columns, console=self.err) as bars:
            bar = bars.add_task("Jobs", total=None, others="")
            while True:
                study = next(looks)
                jobs = study["jobs"]
                ended = sum(jobs[state] for state in FINISHED_STATES)
                others = ", ".join(f"{jobs[state]} {state}" for state in ("running", "canceling", "failed", "canceled") if jobs[state])
                bars.update(bar, completed=ended, total=jobs["total"], others=others)
                if study["state"] == "finished":
                    return study

    def show(self, *things: RenderableType) -> None:
        """Tables and lines, uncut where they are wider than the terminal."""
        for thing in things:
            self.out.print(thing, crop=False)

    def json(self, value: Any) -> None:
        """What the service said, for programs."""
        self.out.print(json.dumps(value, indent=2), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """One sentence on what has happened, beside the result."""
        self.err.print(sentence, soft_wrap=True)

    def show_job(self, job: Job | FinetuneJob, as_json: bool) -> None:
        """A job that was accepted."""
        if as_json:
            self.json(job)
            return
        self.out.print(f"Job {job['id']} is {job['state']}. See what it found with: iis result {job['id']} --watch")

    def show_jobs(self, jobs: Sequence[Job | BatchJob | FinetuneJob], as_json: bool) -> None:
        """A list of jobs."""
        if as_json:
            self.json(jobs)
            return
        self.show(job_table(jobs))

    def show_result(self, job: Job, result: Result, as_json: bool) -> None:
        """The numbers of a report, and its curve."""
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
        self.show(*_words(job, report))
        curve = Table(
            "sparsity", "concepts kept", "accuracy", "ARR", "95 % interval", "ARR of random directions", title="Accuracy retained"
        )
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
        """A finished batch of explanations in a few lines."""
        if as_json:
            self.json(result)
            return
        found = result["summary"]
        read = found["count"] - found["failed"]
        self.show(
            f"{read} images of {found['count']} were read and explained by {result['kept']} concepts of job {result['explained']}.",
            f"Representation and interpretation name the same class for {found['agreement']:.3f} of them.",
        )
        if found["accuracy_interpretation"] is not None:
            accuracies = f"representation {shown(found['accuracy_representation'])}, interpretation {found['accuracy_interpretation']:.3f}"
            self.show(f"Accuracy: {accuracies}.")
        self.show(f"All rows are at {result['links']['rows.jsonl']} and {result['links']['rows.parquet']} of the service.")

    def show_finetune(self, result: FinetuneResult, as_json: bool) -> None:
        """What fine-tuning changed."""
        if as_json:
            self.json(result)
        else:
            self.show(*finetune_view(result))

    def show_state(self, job: Job) -> None:
        """One line on a job."""
        self.out.print(f"Job {job['id']} is {job['state']}.")

    def saved(self, path: Path) -> None:
        """Say where a file went."""
        self.err.print(f"Saved {path}")

    def error(self, sentence: str, note: str | None = None) -> None:
        """One sentence that says what went wrong."""
        _plain_console(stderr=True).print(f"Error: {sentence}" + (f" ({note})" if note else ""), style="red", soft_wrap=True)


def _plain_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console that shows names as they are: what stands in brackets is no markup, and what stands in colons no picture."""
    return Console(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)


def _rows(report: Report) -> Iterator[tuple[str, str, str]]:
    accuracy = f"{report['accuracy_representation_low']:.3f} to {report['accuracy_representation_high']:.3f}"
    yield "Accuracy of the representation", f"{report['accuracy_representation']:.3f}", accuracy
    yield "IIS", shown(report["iis"]), _interval(report["iis_low"], report["iis_high"])
    yield "IIS of random directions", shown(report["iis_random_mean"]), ""
    yield "Its standard deviation", shown(report["iis_random_sd"]), ""
    yield "Concept gain", shown(report["concept_gain"], "+.3f"), _interval(report["concept_gain_low"], report["concept_gain_high"], "+.3f")
    yield "IIS, chance corrected", shown(report["iis_chance_corrected"]), ""
    yield "IIS over log k", shown(report["iis_log"]), ""

    text, names = report["library"].get("text"), report["library"].get("names")
    if text is not None:
        yield "Phrases kept", f"{text['kept']} of {text['candidates']}", ""
        yield "Similarity on held-out images, mean", shown(text["similarity_mean"]), ""
        if text["zero_shot_accuracy"] is not None:
            zero_shot = _interval(text["zero_shot_low"], text["zero_shot_high"])
            yield "Zero-shot accuracy of the VLM", shown(text["zero_shot_accuracy"]), zero_shot
    if names is not None:
        yield "Concepts with a name", f"{names['named']} of {names['named'] + names['unnamed']}", ""


def _words(job: Job, report: Report) -> Iterator[str]:
    """Where the phrases of a report are from, and what became of those that are no concept."""
    vocabulary, text = job["vocabulary"], report["library"].get("text")
    if vocabulary is not None:
        yield f"Vocabulary: {vocabulary['id']}, version {vocabulary['version']}."
    if text is not None and text["dropped"]:
        yield f"Left out: {counted(text['dropped'])}. See them with: iis concepts {job['id']} --dropped"


def _interval(low: float | None, high: float | None, form: str = ".3f") -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _left(eta_seconds: float | None) -> str:
    return "" if eta_seconds is None else f"{eta_seconds:.0f} s left"


def _titled(stage: str, part: str | None) -> str:
    title = STAGE_WORDS.get(stage, stage.replace("_", " ").capitalize())
    return title if part is None else f"{title}: {part}"


def _finish(bars: Progress, bar: TaskID, note: str) -> None:
    total = next(task.total for task in bars.tasks if task.id == bar) or 1
    bars.update(bar, completed=total, total=total, left=note)
