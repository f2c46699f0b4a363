"""Images and checkpoints of the demo: draw, train and write them. Uses no service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import checkpoints as digits
from demo.scenes import network as scene_network
from demo.scenes.scene import SEED, TEST_PER_CLASS, TRAIN_PER_CLASS, Scenes, draw_scenes, write_scenes

DIGIT_STEPS = 105


@dataclass(frozen=True)
class Network:
    """A checkpoint, and the settings by which the service builds its network.

    Attributes
    ----------
    dataset : name of the data set
    """

    name: str
    dataset: str
    checkpoint: Path
    architecture: str
    arguments: Mapping[str, Any]
    preprocessing: Mapping[str, Any]


def write_images(datasets: Mapping[str, Path]) -> Scenes:
    """Draw and write the scenes, and write the digits, to their folders; return the training scenes."""
    scenes, test = draw_scenes(TRAIN_PER_CLASS), draw_scenes(TEST_PER_CLASS, SEED + 1)
    write_scenes(scenes, datasets["scenes"] / "train")
    write_scenes(test, datasets["scenes"] / "test")
    digits.write_digits(datasets["digits"])
    return scenes


def train_networks(scenes: Scenes, folder: Path) -> Iterator[Network]:
    """Train one network after the other, so that one can be scored while the next is trained."""
    settings = (f"timm:{scene_network.ARCHITECTURE}", scene_network.ARGUMENTS, scene_network.PREPROCESSING)
    yield Network("scenes, untrained", "scenes", scene_network.save_untrained(folder / "scenes-untrained.safetensors"), *settings)
    (on_digits,) = digits.train_checkpoints(folder, (DIGIT_STEPS,))
    preprocessing = {"input_size": digits.SIDE_PIXELS, "crop_pct": 1.0}
    architecture, arguments = f"timm:{digits.ARCHITECTURE}", {"num_classes": digits.CLASS_COUNT}
    yield Network("digits, trained", "digits", on_digits.path, architecture, arguments, preprocessing)
    trained = scene_network.train_scene_network(scenes, folder / "scenes.safetensors")
    yield Network("scenes, trained", "scenes", trained, *settings)
