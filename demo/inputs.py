"""Images, checkpoints and phrases of the demo: draw, train and write them. Uses no service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import checkpoints as digits
from demo.language_model import train_scene_language_model, write_scene_vocabulary
from demo.scenes import network as scene_network
from demo.scenes.scene import SEED, TEST_PER_CLASS, TRAIN_PER_CLASS, Scenes, draw_scenes, write_scenes

DIGIT_STEPS = 105


@dataclass(frozen=True)
class Phrases:
    """Checkpoint of a vision-language model (architecture and arguments: demo.language_model) and a file of phrases."""

    model: Path
    vocabulary: Path


@dataclass(frozen=True)
class Network:
    """A checkpoint, how the service builds its network.

    Attributes
    ----------
    dataset : name of the data set
    phrases : for the names of concepts
    """

    name: str
    dataset: str
    checkpoint: Path
    architecture: str
    arguments: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    phrases: Phrases | None = None


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
    yield Network("untrained", "scenes", scene_network.save_untrained(folder / "scenes-untrained.safetensors"), *settings)
    (on_digits,) = digits.train_checkpoints(folder, (DIGIT_STEPS,))
    preprocessing = {"input_size": digits.SIDE_PIXELS, "crop_pct": 1.0}
    architecture, arguments = f"timm:{digits.ARCHITECTURE}", {"num_classes": digits.CLASS_COUNT}
    yield Network("trained on digits", "digits", on_digits.path, architecture, arguments, preprocessing)
    model = train_scene_language_model(scenes, folder / "language.safetensors")
    phrases = Phrases(model, write_scene_vocabulary(folder / "phrases.txt"))
    trained = scene_network.train_scene_network(scenes, folder / "scenes.safetensors")
    yield Network("trained on scenes", "scenes", trained, *settings, phrases=phrases)
