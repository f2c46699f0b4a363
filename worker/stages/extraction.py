"""Stages that unpack a data set and extract its features f(x), in shards that are reported as soon as they are complete."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images, open_unchanged_features, read_images
from worker.stages.files import FEATURES
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, element_spec, open_backbone

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.backbones.torch_backbone import TorchBackbone
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
    """Stage: features of both splits and of the elements -> features.safetensors; reports each finished shard.

    The features of `layers`, other layers of the same network, come from the same forward pass, each into its own `file`.
    """
    sources = arguments["sources"]
    dataset = DatasetRequest.from_json(sources["dataset"])
    if dataset.kind == "features":
        open_unchanged_features(dataset).save(workspace / FEATURES)
        return {}
    backbone = open_backbone(ModelRequest.from_json(sources["model"]))
    elements = element_spec(arguments["elements"])
    others = _at_layers(backbone, arguments.get("layers", ()))
    found = (
        _extract_layers({FEATURES: cast("TorchBackbone", backbone), **others}, workspace, arguments, elements, reporter) if others else {}
    )
    if not found:
        found[FEATURES] = extract_dataset(backbone, workspace, arguments, elements, reporter)
    for name, features in found.items():
        features.save(workspace / name)
    return {"warnings": list(found[FEATURES].warnings)}


def _at_layers(backbone: Backbone, layers: Iterable[JsonObject]) -> dict[str, TorchBackbone]:
    """By file: the network at other layers. Left out are layers that need other weights; an ONNX file is cut for each layer."""
    from iis_engine.backbones.torch_backbone import TorchBackbone
    from iis_engine.errors import ArchitectureError

    found = dict[str, TorchBackbone]()
    if not isinstance(backbone, TorchBackbone):
        return found
    for one in layers:
        with suppress(ArchitectureError):
            other = backbone.at_layer(one["layer"], one["pooling"])
            if other.digest == one["digest"]:
                found[one["file"]] = other
    return found


def _extract_layers(
    backbones: dict[str, TorchBackbone], workspace: Path, arguments: JsonObject, elements: ElementSpec, reporter: Reporter
) -> dict[str, FeatureSet]:
    """Features of several layers from one pass, by file; none if a layer is not finite, so that each job refuses its own layer."""
    from iis_engine.errors import DataError
    from iis_engine.features.layer_sweep import extract_layers

    shards = ShardReporter(workspace / arguments["shard_folder"], reporter)
    images = open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]))
    try:
        found = extract_layers(list(backbones.values()), images, elements, shard_folder=shards.folder, progress=shards.progress)
    except DataError as error:
        if error.code != "representation_not_finite":
            raise
        return {}
    return dict(zip(backbones, found, strict=True))
