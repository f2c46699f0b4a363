"""Table and sentences of a fine-tuning result, and one line per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table

from iis_client.cli.output.numbers import format_interval, format_score

if TYPE_CHECKING:
    from iis_schemas.results.finetuning import FinetuneView, RunView
    from iis_schemas.results.reports import Report


def finetune_view(result: FinetuneView) -> Iterator[RenderableType]:
    """Sentences that compare the arms, then one row per run with its score."""
    yield from result.words
    columns = ("", "seed", "best epoch", "accuracy", "accuracy, trained head", "IIS", "95 % interval")
    table = Table(*columns, title="Scores of the networks on the test images")
    table.add_row("before fine-tuning", "", "", *_scores(result.probe, None))
    for seed_runs in zip(result.treatment, result.control, strict=True):
        for name, run in zip(("treatment", "control (lambda = 0)"), seed_runs, strict=True):
            table.add_row(name, str(run.seed), _best(run), *_scores(run.report, run.report.accuracy_trained))
    yield table
    for warning in result.warnings:
        yield f"Warning: {warning}"
    save = f"iis checkpoint {result.model} --to tuned.safetensors"
    yield f"The best treatment run is registered as model {result.model}. Download it with: {save}"


def epoch_line(epoch: Mapping[str, Any]) -> str:
    """One line on an epoch of a run, from the data of its event."""
    representation = format_score(epoch["validation_accuracy"])
    interpretation = format_score(epoch["validation_accuracy_interpretation"])
    run = f"{epoch['arm']}, seed {epoch['seed']}, epoch {epoch['epoch']}"
    accuracies = f"{representation} representation, {interpretation} interpretation"
    return f"{run}: loss {format_score(epoch['loss'])}, validation accuracy {accuracies}"


def _scores(report: Report, trained_head: float | None) -> tuple[str, str, str, str]:
    trained = "" if trained_head is None else f"{trained_head:.3f}"
    interval = format_interval(report.iis_low, report.iis_high)
    return f"{report.accuracy_representation:.3f}", trained, format_score(report.iis), interval


def _best(run: RunView) -> str:
    return f"{run.best_epoch} of {run.epochs}" + (", stopped early" if run.stopped_early else "")
