"""Extraction from image files against a bare forward loop over the same images, decoded beforehand. Prints a BENCH line.

Both use the same batches and threads. The bare loop reads no file, so the ratio shows the cost of decoding beside the forward passes.
On a CPU decoding takes cores from the network, so the ratio is lower for a small network.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.embedding import default_batch_size
from iis_engine.features.extraction import extract_features
from iis_engine.specs import BackboneSpec

ARCHITECTURE = "resnet18"
IMAGES_PER_CLASS = 64
CROP_PIXELS = 256
ROUNDS = 5


def main() -> None:
    """Time both alternately, `ROUNDS` times, and print the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone, dataset = _make_backbone(folder), _make_dataset(folder / "images")
        paths = [image.path for image in (*dataset.train, *dataset.test)]
        decoded = np.stack([backbone.transform.pixels(load_image(path)) for path in paths])
        rounds = [
            (_seconds(lambda: _extract(backbone, dataset, folder / "shards")), _seconds(lambda: _bare_loop(backbone, decoded)))
            for _ in range(ROUNDS + 1)
        ][1:]  # the first round warms up
    ours, bare = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(bare_seconds / our_seconds for our_seconds, bare_seconds in rounds)
    print(f"BENCH extraction_{ARCHITECTURE}_{backbone.device.type} {ours:.3f} {bare:.3f} {ratio:.3f}")


def _make_backbone(folder: Path) -> Backbone:
    torch.manual_seed(0)
    save_file(timm.create_model(ARCHITECTURE).state_dict(), folder / "weights.safetensors")
    return load_backbone(BackboneSpec(f"timm:{ARCHITECTURE}"), folder / "weights.safetensors")


def _make_dataset(root: Path) -> ImageDataset:
    """Crops of scikit-learn's two sample photographs as JPEG files, one class each."""
    random = np.random.default_rng(0)
    for label, photo in enumerate(load_sample_images().images):
        folder = root / f"class{label}"
        folder.mkdir(parents=True)
        for index in range(IMAGES_PER_CLASS):
            top, left = (int(random.integers(0, side - CROP_PIXELS)) for side in photo.shape[:2])
            Image.fromarray(photo[top : top + CROP_PIXELS, left : left + CROP_PIXELS]).save(folder / f"{index}.jpg", quality=90)
    return read_image_folder(root)


def _extract(backbone: Backbone, dataset: ImageDataset, shards: Path) -> None:
    extract_features(backbone, dataset, None, shard_folder=shards)
    shutil.rmtree(shards)


def _bare_loop(backbone: Backbone, decoded: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    size = default_batch_size(backbone)
    for start in range(0, len(decoded), size):
        pixels = torch.from_numpy(decoded[start : start + size]).to(backbone.device)
        backbone.embed(backbone.transform.normalize(pixels)).cpu()


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
