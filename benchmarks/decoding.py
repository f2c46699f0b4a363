"""Images of JPEG files decoded on one core by Pillow, as the engine does, and by torchvision; and whether their pixels are the same.

Prints a BENCH line for each size, in seconds of processor time for an image, and a line with the share of values that differ. The files
are crops of scikit-learn's photographs.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.io import ImageReadMode, decode_jpeg

from benchmarks.timing import print_ratio, timed
from iis_engine.data.decoding.images import load_image

SIZES = ((224, 224), (500, 375), (640, 427))  # width, height; 500 x 375 is common in ImageNet
SUBSAMPLINGS = {"444": 0, "420": 2}  # of Pillow; cameras and ImageNet have 4:2:0 mostly
QUALITY, IMAGES, ROUNDS = 90, 40, 5


def main() -> None:
    """Time both alternately for each size and chroma subsampling, and compare their pixels."""
    torch.set_num_threads(1)
    for size in SIZES:
        for name, subsampling in SUBSAMPLINGS.items():
            with tempfile.TemporaryDirectory() as folder:
                paths = list(write_files(Path(folder), size, subsampling))
                rounds = [(seconds(pillow, paths), seconds(torchvision, paths)) for _ in range(ROUNDS + 1)][1:]  # the first warms up
                ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
                label = f"jpeg_{size[0]}x{size[1]}_{name}"
                print_ratio(label, ours / IMAGES, theirs / IMAGES)
                difference = np.abs(np.stack([pillow(path).astype(int) - torchvision(path) for path in paths]))
                share, largest = float((difference > 0).mean()), int(difference.max())
                pixels = {"differing": f"{share:.4f}", "largest": largest}
                rates = {"pillow_per_second": f"{IMAGES / ours:.0f}", "torchvision_per_second": f"{IMAGES / theirs:.0f}"}
                print(f"BENCH {label}_pixels", *(f"{key}={value}" for key, value in (pixels | rates).items()), flush=True)


def write_files(folder: Path, size: tuple[int, int], subsampling: int) -> Iterator[Path]:
    """Write random crops as JPEG files."""
    photographs, random = [Image.fromarray(image) for image in load_sample_images().images], np.random.default_rng(0)
    for number in range(IMAGES):
        photograph = photographs[number % len(photographs)]
        left, top = (int(random.integers(0, whole - part + 1)) for whole, part in zip(photograph.size, size, strict=True))
        path = folder / f"{number}.jpg"
        photograph.crop((left, top, left + size[0], top + size[1])).save(path, "JPEG", quality=QUALITY, subsampling=subsampling)
        yield path


def pillow(path: Path) -> np.ndarray:
    """(height, width, 3) uint8, by the engine's own function."""
    return np.asarray(load_image(path))


def torchvision(path: Path) -> np.ndarray:
    """(height, width, 3) uint8."""
    content = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    decoded = decode_jpeg(content, ImageReadMode.RGB)
    return np.moveaxis(np.asarray(decoded), 0, 2)


def seconds(decode: Callable[[Path], np.ndarray], paths: list[Path]) -> float:
    """Processor time of decoding all files."""
    elapsed, _ = timed(lambda: [decode(path) for path in paths])
    return elapsed.cpu


if __name__ == "__main__":
    main()
