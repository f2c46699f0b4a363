"""Stages that unpack a data set and extract its features f(x), in shards that are reported as soon as they are complete."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images, open_unchanged_features, read_images
from worker.stages.files import FEATURES, SHARD_SUFFIXES
from worker.stages.latest import forget, opened
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, element_spec, open_backbone

if TYPE_CHECKING:
    from iis_engine.backbones.backbone import Backbone
    from iis_engine.backbones.torch_backbone import TorchBackbone
    from iis_engine.features.extraction import Extraction
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.specs import ElementSpec


def extract_dataset(
    backbone: Backbone, workspace: Path, arguments: JsonObject, elements: ElementSpec | None, reporter: Reporter
) -> FeatureSet:
    """Extract features of the images in the workspace, and report each shard as soon as it is complete."""
    shards = ShardReporter(workspace / arguments["shard_folder"], reporter)
    extraction = plan_extraction(backbone, workspace, arguments, elements)
    extraction.compute(progress=shards.progress)
    return extraction.assemble()


class ShardReporter:
    """Progress callback that also reports new shard files; the engine writes unfinished ones under another suffix."""

    def __init__(self, folder: Path, reporter: Reporter) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._reporter = reporter
        self._reported = self._complete()

    def progress(self, done: int, total: int) -> None:
        """Report new shards, then the progress."""
        self.report_new()
        self._reporter.progress(done, total)

    def report_new(self) -> None:
        """Report new shards."""
        new = self._complete() - self._reported
        for name in sorted(new):
            self._reporter.output(name)
        self._reported |= new

    def _complete(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.suffix in SHARD_SUFFIXES}


def materialise(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: unpack and check the images in the workspace, for later stages."""
    read_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]), reporter.progress)
    return {}


@dataclass(frozen=True)
class OpenedExtraction:
    """The extraction of one network, or of one network at several layers.

    Attributes
    ----------
    layers : the network at each layer, by the file of its features; empty for one layer
    """

    extraction: Extraction
    layers: dict[str, TorchBackbone]

    def assemble(self) -> dict[str, FeatureSet]:
        """Features by file."""
        from iis_engine.features.layer_sweep import split_layers

        features = self.extraction.assemble()
        if not self.layers:
            return {FEATURES: features}
        return dict(zip(self.layers, split_layers(features, list(self.layers.values())), strict=True))


def extract(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: features of both splits and of the elements -> features.safetensors; reports each finished shard.

    The features of `layers`, other layers of the same network, come from the same forward pass, each into its own `file`.
    """
    from iis_engine.errors import DataError

    dataset = DatasetRequest.from_json(arguments["sources"]["dataset"])
    if dataset.kind == "features":
        open_unchanged_features(dataset).save(workspace / FEATURES)
        return {}
    extracting, shards = open_extraction(workspace, arguments), ShardReporter(workspace / arguments["shard_folder"], reporter)
    forget()
    try:
        extracting.extraction.compute(progress=shards.progress)
    except DataError as error:  # one layer that is not finite refuses all, so that each job refuses its own layer
        if error.code != "representation_not_finite" or not extracting.layers:
            raise
        extracting = _open(workspace, {**arguments, "layers": ()})
        extracting.extraction.compute(progress=shards.progress)
    found = extracting.assemble()
    for name, features in found.items():
        features.save(workspace / name)
    return {"warnings": list(found[FEATURES].warnings)}


def open_extraction(workspace: Path, arguments: JsonObject) -> OpenedExtraction:
    """Load the network and plan the shards of the images in the workspace."""
    return opened("extract", workspace, arguments, lambda: _open(workspace, arguments))


def _open(workspace: Path, arguments: JsonObject) -> OpenedExtraction:
    from iis_engine.backbones.layer_sweep import LayerSweep

    sources, elements = arguments["sources"], element_spec(arguments["elements"])
    backbone = open_backbone(ModelRequest.from_json(sources["model"]))
    others = _at_layers(backbone, arguments.get("layers", ()))
    layers = {FEATURES: cast("TorchBackbone", backbone), **others} if others else {}
    network = LayerSweep(list(layers.values())) if layers else backbone
    return OpenedExtraction(plan_extraction(network, workspace, arguments, elements), layers)


def plan_extraction(backbone: Backbone, workspace: Path, arguments: JsonObject, elements: ElementSpec | None) -> Extraction:
    """The extraction of the images in the workspace."""
    from iis_engine.features.extraction import Extraction

    images = open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]))
    size = arguments.get("shard_size")  # of the worker that divides the stage
    return Extraction(backbone, images, elements, shard_folder=workspace / arguments["shard_folder"], shard_size=size)


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
