"""Which size of visual elements reads a network best? Gains over matched directions by scale, on the real networks.

`python -m benchmarks.scales [--images flowers17 …] [--networks …]` prints one row for each network, set of images, library and scale. The
default scale of `ElementSpec` is chosen by these rows (docs/results.md).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from benchmarks.real_networks import CIFAR_RESNET_DEPTHS, DATA, DATASETS, MOBILENETS
from benchmarks.timing import machine
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.report import CONTROL_NAMES
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import matched_libraries, measure_isotropic, measure_library, measure_matched
from iis_engine.scoring.sparse_curves import Estimate, read_curves
from iis_engine.specs import BackboneSpec, ElementSpec, LibraryKind, LibrarySpec, ScoreSpec

SCALES: tuple[tuple[int, ...], ...] = ((1,), (2,), (4,), (1, 2, 4))
KINDS: tuple[LibraryKind, ...] = ("prototype", "cluster")
CONCEPTS = 100
IMAGES_PER_CLASS = 10


def load_network(name: str, folder: Path) -> Backbone:
    """One of the real networks."""
    if name in MOBILENETS:
        return load_backbone(MOBILENETS[name].spec(), DATA / "weights" / f"{name}.safetensors")
    path = folder / f"{name}.onnx"
    export_onnx(load_cifar_resnet(DATA / "weights" / f"{name}.safetensors", CIFAR_RESNET_DEPTHS[name]), path)
    return load_backbone(BackboneSpec("onnx"), path)


def features_by_scale(backbone: Backbone, images: str, folder: Path) -> Iterator[tuple[tuple[int, ...], FeatureSet]]:
    """The features of a set of images with the elements of each scale, drawn to one number of elements.

    Scales differ in their number of elements, 10 an image at 1 x 1 to 160 at 4 x 4; as many images per class as give every scale enough
    elements for M concepts are cut, so that M is the same for all.
    """
    dataset = read_image_folder(DATA / images)
    for scales in SCALES:
        per_image = sum(scale**2 for scale in scales)
        images_per_class = max(IMAGES_PER_CLASS, -(-2 * CONCEPTS // (per_image * len(dataset.class_names))))
        elements = ElementSpec(scales=scales, images_per_class=images_per_class)
        yield scales, extract_features(backbone, dataset, elements, shard_folder=folder)


def rows(network: str, images: str, folder: Path) -> Iterator[str]:
    """One row for each scale and library."""
    backbone = load_network(network, folder)
    isotropic = None
    for scales, features in features_by_scale(backbone, images, folder / f"{network}-{images}"):
        for kind in KINDS:
            spec = ScoreSpec(LibrarySpec(kind, CONCEPTS), replace(ElementSpec(), scales=scales))
            ensemble = build_libraries(features, spec, device="cpu")
            measured = measure_library(features, ensemble, spec, device="cpu")
            if isotropic is None:  # it depends on neither the scale nor the library
                isotropic = measure_isotropic(features, ensemble.primary.origins, spec, device="cpu")
            matched = measure_matched(features, matched_libraries(features, ensemble, spec), spec, device="cpu")
            curve, *controls = read_curves([measured, isotropic, matched], ("library", *CONTROL_NAMES), "exact")
            by_control = [f"{_signed(curve.few_gain(control))},{_signed(curve.gain(control))}" for control in controls]
            few, iis = curve.few(), curve.iis()
            numbers = f"{few.value if few else 0:.4f},{iis.value if iis else 0:.4f},{curve.baseline.accuracy:.4f}"
            yield f"{images},{network},{kind},{'+'.join(map(str, scales))},{numbers},{','.join(by_control)}"


def _signed(gain: Estimate | None) -> str:
    return ",," if gain is None or gain.low is None or gain.high is None else f"{gain.value:+.4f},{gain.low:+.4f},{gain.high:+.4f}"


def main() -> None:
    """Print a table of comma-separated values."""
    networks = (*MOBILENETS, *CIFAR_RESNET_DEPTHS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scales")
    parser.add_argument("--images", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--networks", nargs="+", choices=networks, default=networks)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine(), flush=True)
    gains = ",".join(f"{what}_{name},{what}_{name}_low,{what}_{name}_high" for name in CONTROL_NAMES for what in ("few_gain", "gain"))
    print(f"images,network,library,scales,few,iis,accuracy,{gains}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks:
            for images in options.images:
                for row in rows(network, images, Path(folder)):
                    print(row, flush=True)


if __name__ == "__main__":
    main()
