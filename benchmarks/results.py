"""Scores of real pre-trained networks in the `exact` protocol: networks, stages and cache. The page is written in results_page.

Run it as `python -m benchmarks.results`; what is in the cache is not computed again, and the page follows the cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import torch

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from benchmarks.results_page import Cell, NetworkFacts, render
from iis_engine import ENGINE_VERSION
from iis_engine.backbones import Backbone, load_backbone
from iis_engine.datasets import ImageDataset, read_image_folder
from iis_engine.extraction import extract_features
from iis_engine.features import FeatureSet
from iis_engine.measurement import Measurement
from iis_engine.scoring import assemble, build_libraries, measure_control, measure_library
from iis_engine.specs import BackboneSpec, LibraryKind, LibrarySpec, Preprocessing, ScoreSpec

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
PAGE = REPOSITORY / "docs" / "results.md"
CONCEPT_COUNT = 200  # M, of the combined library too, so that one control serves all
HALF = CONCEPT_COUNT // 2


@dataclass(frozen=True)
class PretrainedNetwork:
    """A file of weights, the images it is scored on, and what is needed to load it."""

    data: str
    depth: int | None = None  # of a CIFAR ResNet, which is exported to ONNX
    architecture: str = "onnx"
    width: float | None = None
    input_size: int | None = None

    def spec(self) -> BackboneSpec:
        """How the engine is asked for it."""
        if self.input_size is None:
            return BackboneSpec("onnx")
        arguments: dict[str, Any] = {"pad_type": "same"} if self.width is None else {"channel_multiplier": self.width, "pad_type": "same"}
        half = (0.5, 0.5, 0.5)
        wanted = Preprocessing(input_size=self.input_size, mean=half, std=half, interpolation="bicubic", crop_pct=0.875)
        return BackboneSpec(self.architecture, arguments, preprocessing=wanted)


NETWORKS: dict[str, PretrainedNetwork] = {
    "cifar10_resnet20": PretrainedNetwork("cifar10", depth=20),
    "cifar10_resnet32": PretrainedNetwork("cifar10", depth=32),
    "cifar10_resnet56": PretrainedNetwork("cifar10", depth=56),
    "imagenet_mobilenetv1_025": PretrainedNetwork("flowers17", None, "timm:mobilenetv1_100", 0.25, 128),
    "imagenet_mobilenetv1_075": PretrainedNetwork("flowers17", None, "timm:mobilenetv1_100", 0.75, 192),
    "imagenet_mobilenetv1_100_nohead": PretrainedNetwork("flowers17", None, "timm:mobilenetv1_100", 1.0, 224),
    "imagenet_mobilenetv2_100_tf2ptq": PretrainedNetwork("flowers17", None, "timm:mobilenetv2_100", None, 224),
}
LIBRARIES: dict[LibraryKind, LibrarySpec] = {
    "prototype": LibrarySpec("prototype", CONCEPT_COUNT),
    "cluster": LibrarySpec("cluster", CONCEPT_COUNT),
    "end2end": LibrarySpec("end2end", CONCEPT_COUNT),
    "random": LibrarySpec("random", CONCEPT_COUNT),
    "combined": LibrarySpec("combined", CONCEPT_COUNT, (LibrarySpec("prototype", HALF), LibrarySpec("cluster", HALF))),
}


class Stages:
    """The stages of one network, each kept in the cache under a key of all that decides it."""

    def __init__(self, cache_folder: Path, name: str) -> None:
        self.name = name
        self.network = NETWORKS[name]
        self.checkpoint = DATA / "weights" / f"{name}.safetensors"
        weights = hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        decided_by = (ENGINE_VERSION, weights, _dataset(self.network.data).digest, self.network, ScoreSpec().elements)
        self.folder = cache_folder / f"{name}-{hashlib.sha256(repr(decided_by).encode()).hexdigest()[:12]}"

    def facts(self) -> NetworkFacts | None:
        """What was noted beside the features and the control, or None before both are there."""
        features, control = (_read_json(self.folder / f"{stage}.json") for stage in ("features", "control"))
        if features is None or control is None:
            return None
        return NetworkFacts(self.name, self.network.data, **features, control_seconds=control["seconds"])

    def cell(self, kind: LibraryKind) -> Cell | None:
        """A finished cell, or None."""
        kept = _read_json(self._cell_file(kind))
        return None if kept is None else Cell(self.name, self.network.data, kind, **kept)

    def run(self, kind: LibraryKind) -> Cell:
        """The cell, computed where the cache lacks it."""
        if (finished := self.cell(kind)) is not None:
            return finished
        features, control = self.features(), self.control()
        spec = ScoreSpec(LIBRARIES[kind])
        started = time.perf_counter()
        ensemble = build_libraries(features, spec)
        measured = measure_library(features, ensemble, spec)
        report = assemble(features, ensemble, measured, control, spec)
        seconds = time.perf_counter() - started
        _write_json(self._cell_file(kind), {"report": report.to_dict(), "seconds": seconds, "machine": machine_line()})
        return Cell(self.name, self.network.data, kind, report.to_dict(), seconds, machine_line())

    def features(self) -> FeatureSet:
        """f over the images and their patches."""
        path = self.folder / "features.safetensors"
        if not (self.folder / "features.json").is_file():
            dataset, spec = _dataset(self.network.data), ScoreSpec()
            backbone = self._backbone()
            started = time.perf_counter()
            features = extract_features(backbone, dataset, spec.elements, shard_folder=self.folder / "shards")
            seconds = time.perf_counter() - started
            _move_into_place(path, features.save)
            elements = 0 if features.elements is None else len(features.elements)
            _write_json(
                self.folder / "features.json",
                {"dimension": backbone.num_features, "element_count": elements, "extraction_seconds": seconds},
            )
        return FeatureSet.load(path)

    def control(self) -> Measurement:
        """Random directions, one measurement for every library since all have the same M."""
        path = self.folder / "control.safetensors"
        if not (self.folder / "control.json").is_file():
            features = self.features()
            started = time.perf_counter()
            measured = measure_control(features, LIBRARIES["random"].concept_count, ScoreSpec(LIBRARIES["random"]))
            seconds = time.perf_counter() - started
            _move_into_place(path, measured.save)
            _write_json(self.folder / "control.json", {"seconds": seconds})
        return Measurement.load(path)

    def _backbone(self) -> Backbone:
        if self.network.depth is None:
            return load_backbone(self.network.spec(), self.checkpoint)
        exported = self.folder / f"{self.name}.onnx"
        _move_into_place(exported, lambda path: export_onnx(load_cifar_resnet(self.checkpoint, self.network.depth or 0), path))
        return load_backbone(self.network.spec(), exported)

    def _cell_file(self, kind: LibraryKind) -> Path:
        return self.folder / f"{kind}.json"


def machine_line() -> str:
    """Cores, threads, torch and day: what the seconds were measured with."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.machine()} CPU"
    threads = torch.get_num_threads()
    return f"{os.cpu_count()} cores, torch {torch.__version__} with threads = {threads} on {device}, {datetime.now(UTC):%Y-%m-%d}"


@cache
def _dataset(name: str) -> ImageDataset:
    return read_image_folder(DATA / name)


def _read_json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _write_json(path: Path, values: dict[str, Any]) -> None:
    _move_into_place(path, lambda unfinished: unfinished.write_text(json.dumps(values)))


def _move_into_place(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside `path` and rename, so that an interrupted run leaves no half of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"unfinished-{path.name}")
    write(unfinished)
    unfinished.replace(path)


def write_page(stages: Sequence[Stages], page: Path) -> None:
    """The page from all that the cache holds, whichever run it came from."""
    facts = [noted for stage in stages if (noted := stage.facts()) is not None]
    cells = [cell for stage in stages for kind in LIBRARIES if (cell := stage.cell(kind)) is not None]
    missing = [(stage.name, kind) for stage in stages for kind in LIBRARIES if stage.cell(kind) is None]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(render(cells, facts, missing, CONCEPT_COUNT))


def main() -> None:
    """Compute the chosen cells one after another and write the page after each."""
    parser = argparse.ArgumentParser(description="Score real pre-trained networks and write docs/results.md.")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), metavar="LIBRARY", help=", ".join(LIBRARIES))
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".iis" / "results", help="where features and finished cells are kept")
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to write")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads that torch computes with")
    chosen = parser.parse_args()
    if not (DATA / "weights" / "weights.json").is_file():
        parser.error(f"The images and weights are missing at {DATA}; set IIS_SHARED_DATA to their folder.")
    torch.set_num_threads(chosen.threads)
    stages = {name: Stages(chosen.cache, name) for name in NETWORKS}
    for name in chosen.networks:
        for kind in chosen.libraries:
            cell = stages[name].run(kind)
            iis = cell.report["iis"]
            shown = "withheld" if iis is None else f"{iis:.4f}"
            print(f"{name} {kind}: IIS {shown}, {cell.seconds:.1f} s", flush=True)
            write_page(list(stages.values()), chosen.page)


if __name__ == "__main__":
    main()
