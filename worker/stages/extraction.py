"""Stages that unpack a data set and extract its features f(x), in shards that are reported as soon as they are complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images, open_unchanged_features, read_images
from worker.stages.files import FEATURES
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, element_spec, open_backbone

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.specs import ElementSpec


def extract_dataset(
    backbone: Backbone, workspace: Path, arguments: JsonObject, elements: ElementSpec | None, reporter: Reporter
) -> FeatureSet:
    """Extract features of the images in the workspace, and report each shard as soon as it is complete."""
    from iis_engine.features.extraction import extract_features

    shards = ShardReporter(workspace / arguments["shard_folder"], reporter)
    images = open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]))
    return extract_features(backbone, images, elements, shard_folder=shards.folder, progress=shards.progress)


class ShardReporter:
    """Progress callback that also reports new shard files; the engine writes unfinished ones under another suffix."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._reporter = reporter
        self._reported = self._complete()

    def progress(self, done: int, total: int) -> None:
        """Report new shards, then the progress."""
        new = self._complete() - self._reported
        for name in sorted(new):
            self._reporter.output(name)
        self._reported |= new
        self._reporter.progress(done, total)

    def _complete(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.safetensors")}


def materialise(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: unpack and check the images in the workspace, for later stages."""
    read_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]), reporter.progress)
    return {}


def extract(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: features of both splits and of the elements -> features.safetensors; reports each finished shard."""
    sources = arguments["sources"]
    dataset = DatasetRequest.from_json(sources["dataset"])
    if dataset.kind == "features":
        open_unchanged_features(dataset).save(workspace / FEATURES)
        return {}
    backbone = open_backbone(ModelRequest.from_json(sources["model"]))
    features = extract_dataset(backbone, workspace, arguments, element_spec(arguments["elements"]), reporter)
    features.save(workspace / FEATURES)
    return {"warnings": list(features.warnings)}
