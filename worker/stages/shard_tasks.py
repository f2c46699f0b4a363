"""Stages that divide another one into shards, of which several workers compute some each; the stage itself joins them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from worker.sandbox.messages import JsonObject
from worker.stages.batch_explanation import open_representation
from worker.stages.explanation_shards import open_rows
from worker.stages.extraction import ShardReporter, open_extraction
from worker.stages.reporter import Reporter
from worker.stages.text import open_embedding

if TYPE_CHECKING:
    from iis_engine.progress import ProgressCallback


class Planned(Protocol):
    """One shard of a plan."""

    @property
    def file_name(self) -> str: ...


Shard = TypeVar("Shard", bound=Planned)


class Shards(Protocol[Shard]):
    """Shards of one stage: `iis_engine.features.extraction.Extraction`, for example."""

    @property
    def plan(self) -> Sequence[Shard]: ...

    @property
    def shard_size(self) -> int: ...

    def units(self, planned: Shard) -> int: ...

    def missing(self) -> Sequence[Shard]: ...

    def compute(self, names: Collection[str] | None = None, *, progress: ProgressCallback) -> None: ...


OPENERS: dict[str, Callable[[Path, JsonObject], Shards[Any]]] = {
    "extract": lambda workspace, arguments: open_extraction(workspace, arguments).extraction,
    "embed_images": open_embedding,
    "represent": open_representation,
    "explain_rows": open_rows,
}
"""By the name of the divided stage."""


def plan_shards(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: the shards of the stage `of` that are not in the workspace.

    Returns {shards: [[file name, units], …], done: units of the others, size: images per shard}.
    """
    shards = OPENERS[arguments["of"]](workspace, arguments)
    missing = [(planned.file_name, shards.units(planned)) for planned in shards.missing()]
    return {"shards": missing, "done": sum(map(shards.units, shards.plan)) - sum(units for _, units in missing), "size": shards.shard_size}


def compute_shards(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: compute the named shards of the stage `of`, and report each as soon as it is complete."""
    shards = OPENERS[arguments["of"]](workspace, arguments)
    files = ShardReporter(workspace / arguments["shard_folder"], reporter)
    shards.compute(frozenset(arguments["shards"]), progress=files.progress)
    files.report_new()
    return {}
