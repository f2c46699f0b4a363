"""How fine-tuning looks in a terminal: its arms in a table, what sets them apart in sentences, and one epoch on a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from iis_client.types.finetuning import FinetuneResult, FinetuneRun
from iis_client.types.scores import Report, shown


def finetune_view(result: FinetuneResult) -> Iterator[RenderableType]:
    """What fine-tuning changed."""
    yield from result["words"]
    columns = ("", "seed", "best epoch", "accuracy", "as trained", "IIS", "95 % interval")
    table = Table(*columns, title="Networks, each scored on the test images")
    table.add_row("as it was", "", "", *_scores(result["probe"], None))
    for seed_runs in zip(result["treatment"], result["control"], strict=True):
        for name, run in zip(("treatment", "control (lambda = 0)"), seed_runs, strict=True):
            table.add_row(name, str(run["seed"]), _best(run), *_scores(run["report"], run["report"].get("accuracy_trained")))
    yield table
    for warning in result["warnings"]:
        yield f"Warning: {warning}"
    yield f"The best treatment run is model {result['model']}. Save it with: iis checkpoint {result['model']} --to tuned.safetensors"


def epoch_line(epoch: Mapping[str, Any]) -> str:
    """One epoch of one run."""
    accuracies = f"{shown(epoch['validation_accuracy'])} whole, {shown(epoch['validation_accuracy_interpretation'])} by concepts"
    return f"{epoch['arm']}, seed {epoch['seed']}, epoch {epoch['epoch']}: loss {shown(epoch['loss'])}, validation accuracy {accuracies}"


def _scores(report: Report, as_trained: float | None) -> tuple[str, str, str, str]:
    low, high = report["iis_low"], report["iis_high"]
    interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    own = "" if as_trained is None else f"{as_trained:.3f}"
    return f"{report['accuracy_representation']:.3f}", own, shown(report["iis"]), interval


def _best(run: FinetuneRun) -> str:
    return f"{run['best_epoch']} of {run['epochs']}" + (", stopped early" if run["stopped_early"] else "")
