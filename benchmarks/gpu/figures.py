"""Figures of one device: images per second beside a bare forward loop, large heads with their peak memory, and a whole score."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import torch

from benchmarks.gpu.checks import CheckFailed, Setting
from benchmarks.gpu.inputs import load_on, synthetic_features, synthetic_folder, synthetic_pixels
from iis_engine.backbones.devices import choose_device
from iis_engine.features.embedding import BatchEmbedder, default_batch_size
from iis_engine.features.extraction import extract_features
from iis_engine.heads.device_plan import HeadSizes, plan_heads
from iis_engine.heads.linear_probe import solve_linear_probe
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.controls import isotropic
from iis_engine.specs import ElementSpec, LibrarySpec, ScoreSpec

EXTRACTION_LEAST = 0.9  # images per second of extraction from pixels in memory, over those of a bare loop
LARGE_NODES = (1.0, 0.5, 0.1)  # kept shares of the concepts


def figure_extraction(setting: Setting) -> str:
    """Images per second: the bare forward pass on a batch that stays on the device; extraction from pixels; from image files."""
    sizes = setting.sizes
    backbone = load_on(setting.device, sizes, setting.folder)
    size = min(default_batch_size(backbone), sizes.timed_images)
    pixels = synthetic_pixels(size, sizes.side)
    resident = backbone.transform.normalize(torch.from_numpy(pixels).to(backbone.device))
    rounds = max(1, sizes.timed_images // size)
    embedder = BatchEmbedder(backbone, size)

    def rate(work: Callable[[], object], images: int) -> float:
        work()  # warms up
        seconds = _seconds(work, setting.device)
        return images / seconds

    bare = rate(lambda: [backbone.embed(resident) for _ in range(rounds)], rounds * size)
    ours = rate(lambda: [embedder.embed(pixels) for _ in range(rounds)], rounds * size)
    copied = _seconds(lambda: [_copy(pixels, backbone.device) for _ in range(rounds)], setting.device)
    dataset = synthetic_folder(setting.folder / "timed", min(sizes.timed_images, sizes.distinct_images), sizes.timed_images, 2, sizes.side)
    start = time.perf_counter()
    extract_features(backbone, dataset, None, shard_folder=setting.folder / "timed_shards")
    files = sizes.timed_images / (time.perf_counter() - start)
    words = f"bare {bare:.0f}/s, from pixels {ours:.0f}/s (ratio {ours / bare:.3f}), from JPEG files {files:.0f}/s"
    words += f"; copies take {copied * bare / (rounds * size):.3f} of the bare time"
    if setting.device == "cuda" and ours < EXTRACTION_LEAST * bare:
        raise CheckFailed(f"{words}; the ratio is below {EXTRACTION_LEAST}")
    return words


def figure_heads(setting: Setting) -> str:
    """h and three nodes of a curve on many rows and classes, all on the device, with the peak of allocated memory beside the plan's."""
    sizes = setting.sizes
    device = choose_device(setting.device)
    features = synthetic_features(sizes.large_rows * 5 // 4, sizes.large_dimension, sizes.large_class_count)
    shape = HeadSizes(
        len(features.X_train), len(features.X_test), sizes.large_dimension, sizes.large_class_count, sizes.concept_count, library_seeds=1
    )
    plan = plan_heads(shape, None)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    X, y = features.X_train.to(device), features.y_train.to(device)
    data = TrainingRows(y, torch.arange(len(y), device=device) // sizes.large_class_count % 10 == 0, sizes.large_class_count)
    start = time.perf_counter()
    h = solve_linear_probe(X, data)
    probe_seconds = time.perf_counter() - start
    library = isotropic(["random"] * sizes.concept_count, sizes.large_dimension, 0)
    nodes = [max(1, round(share * sizes.concept_count)) for share in LARGE_NODES]
    start = time.perf_counter()
    solved = solve_nodes(Source.of(library.activations(X)), nodes, data)
    curve_seconds = time.perf_counter() - start
    words = f"n = {len(y)}, d = {sizes.large_dimension}, C = {sizes.large_class_count}: "
    words += f"h {probe_seconds:.1f} s in {h.evaluations} evaluations, "
    words += f"{len(nodes)} nodes of M = {sizes.concept_count} {curve_seconds:.1f} s in {solved.evaluations}"
    if device.type != "cuda":
        return words
    peak = torch.cuda.max_memory_allocated()
    words += f"; peak {peak / 1e9:.2f} GB, planned {plan.device_bytes / 1e9:.2f} GB"
    if peak > plan.device_bytes:
        raise CheckFailed(f"{words}: the plan is too small")
    return words


def figure_score(setting: Setting) -> str:
    """A whole score of image files: extraction, library, heads, both controls, panel and report."""
    missing = [name for name in ("scipy", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingPackage(", ".join(missing))
    from iis_engine.scoring.score import score

    sizes = setting.sizes
    backbone = load_on(setting.device, sizes, setting.folder)
    start = time.perf_counter()
    root = setting.folder / "score"
    dataset = synthetic_folder(root, sizes.distinct_images, sizes.score_images, sizes.classes, sizes.side)
    made = time.perf_counter()
    spec = ScoreSpec(LibrarySpec("prototype", sizes.concept_count), ElementSpec(images_per_class=10))
    report = score(backbone, spec, dataset=dataset, device=setting.device)
    seconds = time.perf_counter() - made
    iis = "withheld" if report.iis is None else f"{report.iis:.4f}"
    count = sizes.score_images
    return f"{count} images of {sizes.side} px in {seconds:.1f} s ({count / seconds:.0f}/s), IIS {iis}; files made in {made - start:.1f} s"


class MissingPackage(Exception):
    """A package that the item needs is not installed."""


def _copy(pixels: object, device: torch.device) -> torch.Tensor:
    batch = torch.as_tensor(pixels)
    return batch.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else batch.clone()


def _seconds(work: Callable[[], object], device: str) -> float:
    """Wall time of the work, kernels included."""
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


FIGURES: dict[str, Callable[[Setting], str]] = {
    "extraction": figure_extraction,
    "heads": figure_heads,
    "score": figure_score,
}
