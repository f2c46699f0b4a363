"""Comparisons of the device with the CPU. Each raises `CheckFailed` with what differs, or returns what it measured, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.inputs import Sizes, load_on, synthetic_features, synthetic_folder, synthetic_pixels
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.explanations.heatmaps import heat_maps
from iis_engine.features.embedding import BatchEmbedder
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.history import EpochRecord
from iis_engine.finetuning.run import finetune
from iis_engine.heads.device_plan import HeadSizes, plan_heads
from iis_engine.libraries.controls import isotropic
from iis_engine.libraries.end2end import build_end2end
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.scoring.curve import iis_weights
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import ElementSpec, LibrarySpec

COSINE_LEAST = 0.9999
DECISIONS_MOST = 1e-3  # share of the test decisions that may differ
IIS_MOST = 1e-4
MAP_MOST = 2e-2  # of the largest magnitude; the tolerance of `heat_maps` on a GPU
EPOCHS = 3


class CheckFailed(Exception):
    """A number of the device differs from the CPU's by more than its tolerance."""


@dataclass(frozen=True)
class Setting:
    """What every item is run with: the device (`cuda` or `cpu`), the sizes, and a folder for files."""

    device: str
    sizes: Sizes
    folder: Path


class Interrupted(Exception):
    """The end of a run before its last epoch, as by a killed worker."""


def check_features(setting: Setting) -> str:
    """f in the precision of extraction (bfloat16 on a GPU) and in float32 against the CPU's, image by image."""
    on_cpu, on_device = (load_on(device, setting.sizes, setting.folder) for device in ("cpu", setting.device))
    pixels = synthetic_pixels(setting.sizes.images, setting.sizes.side)
    expected = BatchEmbedder(on_cpu, setting.sizes.images).embed(pixels)
    found = BatchEmbedder(on_device, setting.sizes.images).embed(pixels).cpu()
    batch = on_device.transform.normalize(torch.from_numpy(pixels))
    maps = on_device.feature_map(batch)  # always float32; its mean over positions is f
    if maps is None:
        raise CheckFailed("the network has no feature map on this device")
    least = {"as extracted": _least_cosine(found, expected), "float32": _least_cosine(maps.mean((2, 3)).cpu(), expected)}
    _require(min(least.values()) >= COSINE_LEAST, f"smallest cosine to the CPU's features {least}")
    if setting.device == "cuda":
        _require(not torch.equal(found, maps.mean((2, 3)).cpu()), "extraction has the numbers of float32, so autocast was not active")
    layouts = {
        weight.is_contiguous(memory_format=torch.channels_last)
        for weight in on_device.copy_network().module.parameters()
        if weight.ndim == 4
    }
    _require(layouts == {True}, "the weights of convolutions are not in channels_last")
    return f"smallest cosine {', '.join(f'{name} {value:.6f}' for name, value in least.items())}; weights in channels_last"


def check_out_of_memory(setting: Setting) -> str:
    """A batch that exceeds the memory is halved until it fits, and the features are the same; a later one runs at the smaller size."""
    backbone = load_on(setting.device, setting.sizes, setting.folder)
    pixels = synthetic_pixels(setting.sizes.images, setting.sizes.side)
    expected = BatchEmbedder(backbone, setting.sizes.images).embed(pixels)
    start = 16 * setting.sizes.batch
    large = np.concatenate([pixels] * -(-start // len(pixels)))[:start]
    limited = _MemoryLimit(backbone, setting.sizes.batch)
    with limited:
        embedder = BatchEmbedder(backbone, start)
        found = embedder.embed(large)
        reached = embedder.size
        again = embedder.embed(pixels)
    _require(reached < start, f"the batch of {start} images was not halved, although the memory was limited")
    _require(embedder.size <= reached, "the batch grew again")
    worst = min(_least_cosine(part, expected[: len(part)]) for part in (found[: len(pixels)], again))
    _require(worst >= COSINE_LEAST, f"features after halving have a cosine of {worst} to those before")
    return f"batch {start} halved to {reached}, features equal"


def check_curve(setting: Setting) -> str:
    """Heads and curve of two libraries on the device against the CPU's; then with features and activations left in host memory."""
    sizes = setting.sizes
    features = synthetic_features(sizes.rows, sizes.dimension, sizes.class_count)
    libraries = [isotropic(["random"] * sizes.concept_count, sizes.dimension, seed) for seed in range(2)]
    device = torch.device(setting.device)
    expected = measure_exact(features, libraries, 0, torch.device("cpu"))
    outcomes = {"on the device": measure_exact(features, libraries, 0, device)}
    outcomes["in host memory"] = measure_exact(features, libraries, 0, device, device_bytes=1)
    shape = HeadSizes(len(features.X_train), len(features.X_test), sizes.dimension, sizes.class_count, sizes.concept_count, 2)
    _require(not plan_heads(shape, 1).activations_on_device, "a budget of one byte keeps activations on the device")
    words: list[str] = []
    for name, measured in outcomes.items():
        share, difference = _different_decisions(measured, expected), abs(_iis(measured) - _iis(expected))
        _require(share <= DECISIONS_MOST, f"{name} {share:.2e} of the decisions differ")
        _require(difference <= IIS_MOST, f"{name} IIS differs by {difference:.2e}")
        words.append(f"{name}: {share:.1e} of the decisions and {difference:.1e} in IIS differ")
    return "; ".join(words)


def check_end2end(setting: Setting) -> str:
    """The learned assignment of elements, trained twice on the device: unit vectors, and the same ones again."""
    sizes = setting.sizes
    features = synthetic_features(sizes.rows, sizes.dimension, sizes.class_count)
    if features.elements is None:
        raise CheckFailed("the synthetic features have no elements")
    units = torch.nn.functional.normalize(features.elements, dim=1)
    device = torch.device(setting.device)
    X, y = features.X_train.to(device), features.y_train.to(device)

    def build() -> ConceptLibrary:
        return build_end2end(units, torch.arange(len(units)), sizes.concept_count, X, y, sizes.class_count, 0)

    first, second = build(), build()
    _require(bool(torch.isfinite(first.vectors).all()), "vectors are not finite")
    lengths = first.vectors.norm(dim=1)
    _require(float((lengths - 1).abs().max()) < 1e-4, f"lengths from {float(lengths.min())} to {float(lengths.max())}")
    share = float(((first.vectors * second.vectors).sum(dim=1) > COSINE_LEAST).float().mean())
    _require(share == 1.0 or setting.device == "cuda", f"only {share:.3f} of the concepts are the same in a second training")
    return f"{len(first)} unit vectors, {share:.3f} of them the same in a second training"


def check_finetuning(setting: Setting) -> str:
    """A run in the device's precision that ends after its first epoch and resumes, against one that does not end."""
    sizes = setting.sizes
    small = replace(sizes, side=min(sizes.side, 64))
    backbone = load_on(setting.device, small, setting.folder)
    dataset = synthetic_folder(setting.folder / "finetuning", 24, 24, 2, small.side)
    spec = FinetuneSpec(LibrarySpec("prototype", 8), ElementSpec(images_per_class=4), epochs=EPOCHS, batch_size=8, learning_rate=1e-3)

    def stop_after_first(record: EpochRecord) -> None:
        if record.epoch == 1:
            raise Interrupted

    whole = finetune(backbone, dataset, spec, seed=0, weight=1.0, folder=setting.folder / "whole")
    try:
        finetune(backbone, dataset, spec, seed=0, weight=1.0, folder=setting.folder / "resumed", on_epoch=stop_after_first)
    except Interrupted:
        resumed = finetune(backbone, dataset, spec, seed=0, weight=1.0, folder=setting.folder / "resumed")
    else:
        raise CheckFailed("the run did not end after its first epoch")
    different = [key for key, weights in whole.weights.items() if not torch.equal(weights, resumed.weights[key])]
    _require(not different, f"{len(different)} of {len(whole.weights)} tensors differ after resuming, first {different[:1]}")
    _require(bool(np.isfinite(whole.history[-1].loss)), "the loss is not finite")
    return f"{len(whole.weights)} tensors equal after resuming; loss {whole.history[0].loss:.4f} to {whole.history[-1].loss:.4f}"


def check_heat_maps(setting: Setting) -> str:
    """Maps of four concepts over one image against the CPU's."""
    on_cpu, on_device = (load_on(device, setting.sizes, setting.folder) for device in ("cpu", setting.device))
    vectors = isotropic(["random"] * 4, on_cpu.num_features, 0).vectors
    image = on_cpu.transform.normalize(torch.from_numpy(synthetic_pixels(1, setting.sizes.side)))
    expected, found = (heat_maps(backbone, vectors, image) for backbone in (on_cpu, on_device))
    _require(found.method == expected.method, f"method {found.method} instead of {expected.method}")
    largest = float(expected.values.abs().max())
    difference = float((found.values.cpu() - expected.values).abs().max()) / largest
    _require(difference <= MAP_MOST, f"maps differ by {difference:.1e} of their largest magnitude")
    return f"method {found.method}, largest difference {difference:.1e} of the largest magnitude"


class _MemoryLimit:
    """Let the process run out of memory at batches above some size.

    On a GPU the allocator gets the memory that is in use and that of one batch of `images`; on a CPU, where an allocation does not fail,
    the network raises torch's error.
    """

    def __init__(self, backbone: TorchBackbone, images: int) -> None:
        self._backbone = backbone
        self._images = images
        self._embed: Callable[[Tensor], Tensor] = backbone.embed

    def __enter__(self) -> None:
        if self._backbone.device.type != "cuda":
            self._backbone.embed = self._limited
            return
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        height, width = self._backbone.input_size
        before = torch.cuda.memory_allocated()
        self._backbone.embed(torch.zeros(self._images, 3, height, width))
        of_one_batch = torch.cuda.max_memory_allocated() - before
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self._backbone.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 2 * of_one_batch) / total))

    def __exit__(self, *_: object) -> None:
        if self._backbone.device.type != "cuda":
            vars(self._backbone).pop("embed")  # the method of the class again
            return
        torch.cuda.set_per_process_memory_fraction(1.0)

    def _limited(self, batch: Tensor) -> Tensor:
        if len(batch) > self._images:
            raise torch.OutOfMemoryError(f"simulated: {len(batch)} images exceed the memory for {self._images}")
        return self._embed(batch)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise CheckFailed(otherwise)


def _least_cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=1).min())


def _different_decisions(one: Measurement, other: Measurement) -> float:
    """Share of the test decisions, over seeds and nodes, that are right in one measurement alone; 1 where the nodes differ."""
    if one.kept != other.kept:
        return 1.0
    return float((one.correct != other.correct).double().mean())


def _iis(measured: Measurement) -> float:
    """IIS of a measurement (eq. 7), mean over its libraries."""
    kept: Sequence[int] = (*measured.kept, 0)
    constant = measured.constant_correct.double().mean().expand(len(measured.correct), 1)
    accuracy = torch.cat([measured.correct.double().mean(dim=2), constant], dim=1).mean(dim=0)
    return float(accuracy.numpy() @ iis_weights(kept, measured.concept_count) / measured.baseline_correct.double().mean())


CHECKS: dict[str, Callable[[Setting], str]] = {
    "features": check_features,
    "out_of_memory": check_out_of_memory,
    "curve": check_curve,
    "end2end": check_end2end,
    "finetuning": check_finetuning,
    "heat_maps": check_heat_maps,
}
