"""The stages as they run in the compute process: files in the workspace to files in the workspace, through iis_engine. No service here."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from worker.datasets import (
    describe_features,
    describe_images,
    digest_of_features,
    open_features,
    open_images,
    open_unchanged_features,
    read_images,
)

FEATURES, LIBRARY, CONTROL, MEASUREMENT = (f"{name}.safetensors" for name in ("features", "library", "control", "measurement"))
ENSEMBLE = "ensemble.zip"
REPORT = "report.json"
CONCEPTS, VECTORS, EXEMPLARS = "concepts.json", "vectors.npy", "exemplars.zip"
PLOTS = tuple((name, suffix, f"{name}.{suffix}") for name in ("arr", "accuracy") for suffix in ("png", "svg"))


class Reporter(Protocol):
    """How a stage tells the parent how far it is."""

    def progress(self, done: int, total: int) -> None: ...

    def output(self, name: str) -> None: ...


Stage = Callable[[Path, dict[str, Any], Reporter], dict[str, Any]]


def prepare() -> None:
    """Import what every stage needs, once for all jobs of this process."""
    import torch

    torch.set_grad_enabled(True)


def check_model(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Load the backbone and run a dry forward: {digest, info}."""
    import torch
    from PIL import Image

    from iis_engine.errors import CheckpointError

    backbone = _backbone(arguments["model"])
    tell.progress(1, 2)
    image = Image.effect_noise(backbone.input_size[::-1], 64).convert("RGB")
    with torch.inference_mode():
        representation = backbone.embed(backbone.preprocess(image)[None])
    if not torch.isfinite(representation).all():
        raise CheckpointError("The network's representation of an image is not finite; its weights are damaged.", param="checkpoint")
    tell.progress(2, 2)
    return {"digest": backbone.digest, "info": backbone.describe()}


def check_dataset(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Read a data set whole: {digest, info}; of images also the reading, for jobs to come."""
    request = arguments["dataset"]
    if request["kind"] == "features":
        features = open_features(request)
        return {"digest": digest_of_features(features), "info": describe_features(features)}
    dataset = read_images(workspace, request, tell.progress)
    return {"digest": dataset.digest, "info": describe_images(dataset)}


def materialise(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Unpack the images where later stages look for them."""
    if arguments["sources"]["dataset"]["kind"] != "features":
        read_images(workspace, arguments["sources"]["dataset"], tell.progress)
    return {}


def extract(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Features of both splits and of the elements -> features.safetensors; finished shards are announced as they appear."""
    sources = arguments["sources"]
    if sources["dataset"]["kind"] == "features":
        ready = open_unchanged_features(sources["dataset"])
        ready.save(workspace / FEATURES)
        return {}
    from iis_engine.extraction import extract_features
    from iis_engine.specs import ElementSpec

    shards = _Shards(workspace / "shards", tell)
    features = extract_features(
        _backbone(sources["model"]),
        open_images(workspace, sources["dataset"]),
        ElementSpec(**arguments["elements"]),
        shard_folder=shards.folder,
        progress=shards.progress,
    )
    features.save(workspace / FEATURES)
    return {"warnings": list(features.warnings)}


def libraries(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The concept library -> library.safetensors, and with the further seeds its interval needs -> ensemble.zip."""
    from iis_engine.scoring import build_libraries

    ensemble = build_libraries(_features(workspace), _score_spec(arguments), tell.progress, device=arguments["device"])
    ensemble.primary.save(workspace / LIBRARY)
    ensemble.save(workspace / "ensemble")
    with zipfile.ZipFile(workspace / ENSEMBLE, "w") as archive:
        for path in (workspace / "ensemble").iterdir():
            archive.write(path, path.name)
    return {}


def control(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The random control -> control.safetensors."""
    from iis_engine.scoring import measure_control

    measured = measure_control(_features(workspace), _score_spec(arguments), tell.progress, device=arguments["device"])
    measured.save(workspace / CONTROL)
    return {}


def heads(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """Every head of every sparsity -> measurement.safetensors."""
    from iis_engine.scoring import measure_library

    features, ensemble, spec = _features(workspace), _ensemble(workspace), _score_spec(arguments)
    measure_library(features, ensemble, spec, tell.progress, device=arguments["device"]).save(workspace / MEASUREMENT)
    return {}


def curve(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The curve, its integral and their intervals -> report.json."""
    from iis_engine.measurement import Measurement
    from iis_engine.scoring import assemble

    measured, random = (Measurement.load(workspace / name) for name in (MEASUREMENT, CONTROL))
    found = assemble(_features(workspace), _ensemble(workspace), measured, random, _score_spec(arguments)).to_dict()
    (workspace / REPORT).write_text(json.dumps(found, allow_nan=False))
    tell.progress(1, 1)
    return {"warnings": found["warnings"]}


def explain(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """What shows each concept -> concepts.json, vectors.npy, exemplars.zip."""
    from iis_engine.libraries.library import ConceptLibrary
    from worker.exemplars import show_concepts

    sources = arguments.get("sources")
    images = open_images(workspace, sources["dataset"]) if sources else None
    show_concepts(_features(workspace), ConceptLibrary.load(workspace / LIBRARY), images, workspace, tell.progress)
    return {}


def report(workspace: Path, arguments: dict[str, Any], tell: Reporter) -> dict[str, Any]:
    """The figures -> arr.png, arr.svg, accuracy.png, accuracy.svg."""
    from iis_engine.plots import save_plot

    content = json.loads((workspace / REPORT).read_text())
    for done, (name, _, file) in enumerate(PLOTS, start=1):
        save_plot(content, name, workspace / file)
        tell.progress(done, len(PLOTS))
    return {}


STAGES: dict[str, Stage] = {
    stage.__name__: stage for stage in (check_model, check_dataset, materialise, extract, libraries, control, heads, curve, explain, report)
}


class _Shards:
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


def _backbone(request: dict[str, Any]) -> Any:
    from iis_engine.backbones import load_backbone
    from iis_engine.specs import BackboneSpec, Preprocessing

    given: dict[str, Any] = request["preprocessing"] or {}
    preprocessing: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    spec = BackboneSpec(
        request["architecture"],
        request["arguments"],
        request["pretrained"],
        request["layer"],
        Preprocessing(**preprocessing),
    )
    return load_backbone(spec, Path(request["checkpoint"]) if request["checkpoint"] else None, device=request["device"])


def _features(workspace: Path) -> Any:
    from iis_engine.features import FeatureSet

    return FeatureSet.load(workspace / FEATURES)


def _ensemble(workspace: Path) -> Any:
    """The library with its further seeds; one fitted by an earlier job comes alone."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring import LibraryEnsemble

    if not (workspace / ENSEMBLE).exists():
        return LibraryEnsemble((ConceptLibrary.load(workspace / LIBRARY),))
    with zipfile.ZipFile(workspace / ENSEMBLE) as archive:
        archive.extractall(workspace / "ensemble")
    return LibraryEnsemble.load(workspace / "ensemble")


def _score_spec(arguments: dict[str, Any]) -> Any:
    from iis_engine.specs import ElementSpec, LibrarySpec, ScoreSpec

    def library(request: dict[str, Any]) -> LibrarySpec:
        parts = tuple(library(part) for part in request.get("parts") or ())
        return LibrarySpec(request["kind"], request["concept_count"], parts)

    score = arguments["score"]
    return ScoreSpec(library(score["library"]), ElementSpec(**score["elements"]), score["protocol"], score["seed"])
