"""Names of the files that stages leave in the workspace, and what the names say. Nothing is read or written here."""

from __future__ import annotations

import re
from dataclasses import dataclass

FEATURES, LIBRARY, CONTROL, MEASUREMENT = (f"{name}.safetensors" for name in ("features", "library", "control", "measurement"))
# What a vision-language model makes of images, phrases and class names.
EMBEDDINGS, PHRASES, CLASSES = (f"{name}.safetensors" for name in ("embeddings", "phrases", "classes"))
IMAGES_FOLDER = "images"  # an unpacked data set
VOCABULARY = "vocabulary.json"  # phrases that the parent leaves for `embed_phrases`: [[text, group], …]
NAMES = "names.json"
ENSEMBLE = "ensemble.zip"
REPORT = "report.json"
CONCEPTS, VECTORS, EXEMPLARS = "concepts.json", "vectors.npy", "exemplars.zip"
LEFT_OUT = "left_out.json"
# Every sparse head with h, and what they make of the test images: what explanations are read from.
PREDICTORS, TEST_SET = "predictors.safetensors", "tested.safetensors"
PLOTS = tuple((name, suffix, f"{name}.{suffix}") for name in ("arr", "accuracy") for suffix in ("png", "svg"))
# Many images explained: f of an archive's, names of concepts that the parent leaves, and a row for each image.
LOOSE_FOLDER, REPRESENTED = "loose", "represented.safetensors"
CONCEPT_NAMES = "concept_names.json"  # [[label, origin], …]
ROWS, OFFSETS, TABLE, SUMMARY = "rows.jsonl", "rows.offsets", "rows.parquet", "summary.json"
# What sets fine-tuned networks apart from their controls.
COMPARISON = "comparison.json"


def epoch_file(epoch: int) -> str:
    """What a training run leaves after an epoch, under the name that the engine gives it."""
    return f"epoch-{epoch:03d}.safetensors"


def epoch_of(name: str) -> int:
    """The epoch that a file name says, 0 where it says none."""
    found = re.fullmatch(r"epoch-(\d+)\.safetensors", name)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class RunFiles:
    """What one fine-tuning run leaves."""

    arm: str
    seed: int

    @property
    def weights(self) -> str:
        return self._named("tuned", "safetensors")

    @property
    def head(self) -> str:
        return self._named("head", "safetensors")

    @property
    def history(self) -> str:
        return self._named("history", "json")

    @property
    def report(self) -> str:
        return self._named("report", "json")

    @property
    def checked(self) -> str:
        return self._named("checked", "json")

    def _named(self, what: str, suffix: str) -> str:
        return f"{what}-{self.arm}-{self.seed}.{suffix}"


READING = "dataset.json"  # what reading the images found, so that they need not all be decoded again
