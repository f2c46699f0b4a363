"""f of a data set in the compute process, in shards that are announced as they become complete; and how a stage reports at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.stages.datasets import (
    open_images,
    open_unchanged_features,
    read_images,
)
from worker.stages.files import FEATURES
from worker.stages.reporter import Reporter
from worker.stages.specs import DatasetRequest, ModelRequest, open_backbone


def extracted(backbone: Any, workspace: Path, arguments: dict[str, Any], elements: Any, tell: Reporter) -> Any:
    """f of a data set, in shards that are announced as they become complete."""
    from iis_engine.features.extraction import extract_features

    shards = Shards(workspace / arguments["shard_folder"], tell)
    images = open_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]))
    return extract_features(backbone, images, elements, shard_folder=shards.folder, progress=shards.progress)


class Shards:
    """Announces shard files as they become complete; unfinished ones have another suffix."""

    def __init__(self, folder: Path, tell: Reporter) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._tell = tell
        self._known = self._present()

    def progress(self, done: int, total: int) -> None:
        fresh = self._present() - self._known
        for name in sorted(fresh):
            self._tell.output(name)
        self._known |= fresh
        self._tell.progress(done, total)

    def _present(self) -> set[str]:
        return {path.name for path in self.folder.glob("*.safetensors")}


def materialise(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Unpack the images where later stages look for them."""
    read_images(workspace, DatasetRequest.from_json(arguments["sources"]["dataset"]), tell.progress)
    return {}


def extract(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Features of both splits and of the elements -> features.safetensors; finished shards are announced as they appear."""
    sources = arguments["sources"]
    dataset = DatasetRequest.from_json(sources["dataset"])
    if dataset.kind == "features":
        ready = open_unchanged_features(dataset)
        ready.save(workspace / FEATURES)
        return {}
    from iis_engine.specs import ElementSpec

    features = extracted(
        open_backbone(ModelRequest.from_json(sources["model"])), workspace, arguments, ElementSpec(**arguments["elements"]), tell
    )
    features.save(workspace / FEATURES)
    return {"warnings": list(features.warnings)}
