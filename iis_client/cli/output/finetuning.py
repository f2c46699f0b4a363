"""Table and sentences of a fine-tuning result, and one line per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from iis_client.types.finetuning import FinetuneResult, FinetuneRun
from iis_client.types.scores import Report, shown


def finetune_view(result: FinetuneResult) -> Iterator[RenderableType]:
    """Sentences that compare the arms, then one row per run with its score."""
    yield from result["words"]
    columns = ("", "seed", "best epoch", "accuracy", "accuracy, trained head", "IIS", "95 % interval")
    table = Table(*columns, title="Scores of the networks on the test images")
    table.add_row("before fine-tuning", "", "", *_scores(result["probe"], None))
    for seed_runs in zip(result["treatment"], result["control"], strict=True):
        for name, run in zip(("treatment", "control (lambda = 0)"), seed_runs, strict=True):
            table.add_row(name, str(run["seed"]), _best(run), *_scores(run["report"], run["report"].get("accuracy_trained")))
    yield table
    for warning in result["warnings"]:
        yield f"Warning: {warning}"
    save = f"iis checkpoint {result['model']} --to tuned.safetensors"
    yield f"The best treatment run is registered as model {result['model']}. Download it with: {save}"


def epoch_line(epoch: Mapping[str, Any]) -> str:
    """One line on an epoch of a run."""
    representation, interpretation = shown(epoch["validation_accuracy"]), shown(epoch["validation_accuracy_interpretation"])
    accuracies = f"{representation} representation, {interpretation} interpretation"
    return f"{epoch['arm']}, seed {epoch['seed']}, epoch {epoch['epoch']}: loss {shown(epoch['loss'])}, validation accuracy {accuracies}"


def _scores(report: Report, trained_head: float | None) -> tuple[str, str, str, str]:
    low, high = report["iis_low"], report["iis_high"]
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    trained = "" if trained_head is None else f"{trained_head:.3f}"
    return f"{report['accuracy_representation']:.3f}", trained, shown(report["iis"]), interval


def _best(run: FinetuneRun) -> str:
    return f"{run['best_epoch']} of {run['epochs']}" + (", stopped early" if run["stopped_early"] else "")
