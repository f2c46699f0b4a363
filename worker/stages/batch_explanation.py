"""Stages that explain many images: unpack them, extract their features, and explain each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import unpack_into
from worker.stages.explanation_rows import EmbeddedImage, RowBuilder, UnreadableImage, as_utf8
from worker.stages.extraction import ShardReporter
from worker.stages.files import CONCEPT_NAMES, PREDICTORS, REPRESENTED, SUMMARY, TEST_SET, UNPACKED_FOLDER
from worker.stages.latest import forget, opened
from worker.stages.reporter import Reporter
from worker.stages.specs import ModelRequest, open_backbone

if TYPE_CHECKING:
    from iis_engine.features.unlabelled_images import UnlabelledExtraction
    from iis_engine.scoring.predictor import PredictorFamily

IMAGES_PER_BLOCK = 256
ROWS_PER_REPORT = 64
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
    """Stage: explain the prediction for each image -> rows.jsonl, rows.offsets, rows.parquet, summary.json."""
    from iis_engine.errors import SettingError
    from iis_engine.explanations.explain import class_label
    from iis_engine.scoring.predictor import PredictorFamily
    from worker.stages.explanation_files import ExplanationFiles

    family = PredictorFamily.load(workspace / PREDICTORS)
    contrast = arguments["contrast"]
    if family.is_multi_label and contrast is not None:
        raise SettingError("A contrast needs one class per image, and these data are multi-label; leave it out.", param="contrast")
    builder = RowBuilder(
        family.at(arguments["kept"]),
        None if contrast is None else class_label(family.class_names, contrast, "contrast"),
        arguments["top"],
        json.loads((workspace / CONCEPT_NAMES).read_text()),
    )
    batch = _test_images(workspace) if arguments["tested"] else _unlabelled_images(workspace, family)
    with ExplanationFiles(workspace) as files:
        for done, image in enumerate(batch.images, start=1):
            files.add(builder.row(image))
            if done % ROWS_PER_REPORT == 0 or done == batch.count:
                reporter.progress(done, batch.count)
    ignored_names = [as_utf8(name) for name in batch.ignored[:IGNORED_NAMES_LISTED]]
    summary = builder.summary() | {"ignored": len(batch.ignored), "ignored_names": ignored_names}
    (workspace / SUMMARY).write_text(json.dumps(summary))
    return {}


@dataclass(frozen=True)
class _Batch:
    """Images to explain, their number, and the names of files that are not images."""

    images: Iterator[EmbeddedImage | UnreadableImage]
    count: int
    ignored: Sequence[str]


def _test_images(workspace: Path) -> _Batch:
    """The test images of a scored job, whose activations are stored, so that no forward pass is needed."""
    from iis_engine.explanations.test_set import TestSet

    test_set = TestSet.load(workspace / TEST_SET)

    def images() -> Iterator[EmbeddedImage]:
        for index in range(len(test_set)):
            name = test_set.names[index] if test_set.names else None
            labels, of_image = test_set.labels_of(index), (test_set.activations[index], test_set.representation(index))
            single = test_set.label_matrix is None
            yield EmbeddedImage(index, name, labels[0] if single else None, *of_image, () if single else labels)

    return _Batch(images(), len(test_set), ())


def _unlabelled_images(workspace: Path, family: PredictorFamily) -> _Batch:
    """The images of an archive."""
    from iis_engine.explanations.explain import prediction_of
    from iis_engine.features.unlabelled_images import UnlabelledImages

    stored = UnlabelledImages.load(workspace / REPRESENTED)

    def readable() -> Iterator[EmbeddedImage]:
        for rows, features in zip(stored.rows.split(IMAGES_PER_BLOCK), stored.features.split(IMAGES_PER_BLOCK), strict=True):
            activations, probabilities = family.library.activations(features), family.baseline_probabilities(features)
            for row, index in enumerate(rows.tolist()):
                yield EmbeddedImage(index, stored.names[index], None, activations[row], prediction_of(probabilities[row]))

    def images() -> Iterator[EmbeddedImage | UnreadableImage]:
        embedded = readable()
        for index, name in enumerate(stored.names):
            yield UnreadableImage(index, name, stored.failures[index]) if index in stored.failures else next(embedded)

    return _Batch(images(), len(stored.names), stored.ignored)
