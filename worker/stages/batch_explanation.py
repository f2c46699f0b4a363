"""Stages that explain many images: unpack them, extract their features, and explain each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import unpack_into
from worker.stages.explanation_rows import as_utf8
from worker.stages.explanation_shards import open_rows
from worker.stages.extraction import ShardReporter
from worker.stages.files import REPRESENTED, SUMMARY, UNPACKED_FOLDER
from worker.stages.latest import forget, opened
from worker.stages.reporter import Reporter
from worker.stages.specs import ModelRequest, open_backbone

if TYPE_CHECKING:
    from iis_engine.features.unlabelled_images import UnlabelledExtraction

IGNORED_NAMES_LISTED = 100


def unpack(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: unpack the archive of images."""
    unpack_into(Path(arguments["sources"]["archive"]["file"]), workspace / UNPACKED_FOLDER)
    return {}


def represent(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: f of the archive's images -> represented.safetensors; reports each finished shard."""
    extraction, shards = open_representation(workspace, arguments), ShardReporter(workspace / arguments["shard_folder"], reporter)
    forget()
    extraction.compute(progress=shards.progress)
    images = extraction.assemble()
    images.save(workspace / REPRESENTED)
    unread = f"{len(images.failures)} of {len(images.names)} images could not be read; see the field error of their rows."
    return {"warnings": [unread] if images.failures else []}


def open_representation(workspace: Path, arguments: JsonObject) -> UnlabelledExtraction:
    """Load the network and plan the shards of the archive's images."""

    def load() -> UnlabelledExtraction:
        from iis_engine.features.unlabelled_images import UnlabelledExtraction

        sources, shards = arguments["sources"], workspace / arguments["shard_folder"]
        backbone, digest = open_backbone(ModelRequest.from_json(sources["model"])), sources["archive"]["sha256"]
        size = arguments.get("shard_size")  # of the worker that divides the stage
        return UnlabelledExtraction(backbone, workspace / UNPACKED_FOLDER, digest, shard_folder=shards, shard_size=size)

    return opened("represent", workspace, arguments, load)


def explain_rows(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: explain the prediction for each image -> rows.jsonl, rows.offsets, rows.parquet, summary.json; reports each finished shard."""
    from worker.stages.explanation_files import ExplanationFiles

    shards = open_rows(workspace, arguments)
    forget()
    is_short = len(shards.plan) < 2  # and has no shard to resume from
    shards.compute(progress=reporter.progress if is_short else ShardReporter(workspace / arguments["shard_folder"], reporter).progress)
    with ExplanationFiles(workspace) as files:
        for path in shards.files():
            files.add(path.read_bytes())
    ignored = shards.batch.ignored
    ignored_names = [as_utf8(name) for name in ignored[:IGNORED_NAMES_LISTED]]
    summary = files.summary() | {"ignored": len(ignored), "ignored_names": ignored_names}
    (workspace / SUMMARY).write_text(json.dumps(summary))
    return {}
