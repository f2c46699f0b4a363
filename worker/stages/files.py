"""Names of the files in a workspace. Stored artifacts have these names too, so they must not change."""

from __future__ import annotations

import re
from dataclasses import dataclass

FEATURES, LIBRARY, MEASUREMENT = (f"{name}.safetensors" for name in ("features", "library", "measurement"))
ISOTROPIC, MATCHED = "isotropic.safetensors", "matched.safetensors"  # curves of the two controls
MATCHED_LIBRARIES, PANEL = "matched.zip", "panel.json"
# Embeddings of images, phrases and class names by a vision-language model.
EMBEDDINGS, PHRASES, CLASSES = (f"{name}.safetensors" for name in ("embeddings", "phrases", "classes"))
CHOICE = "choice-00000.safetensors"  # of a measurement's strengths; the curves of its seeds stand beside it
IMAGES_FOLDER = "images"  # an unpacked data set
VOCABULARY = "vocabulary.json"  # phrases that the worker writes for `embed_phrases`: [[text, group], …]
NAMES = "names.json"
ENSEMBLE = "ensemble.zip"
REPORT = "report.json"
CONCEPTS, VECTORS, EXEMPLARS = "concepts.json", "vectors.npy", "exemplars.zip"
LEFT_OUT = "left_out.json"
# For explanations: all sparse heads with h, and activations and predictions of the test images.
PREDICTORS, TEST_SET = "predictors.safetensors", "tested.safetensors"
PLOTS = tuple((name, suffix, f"{name}.{suffix}") for name in ("arr", "accuracy") for suffix in ("png", "svg"))
# For explanations of many images: the unpacked archive, f of its images, names of concepts, and a row for each image.
UNPACKED_FOLDER, REPRESENTED = "loose", "represented.safetensors"
CONCEPT_NAMES = "concept_names.json"  # written by the worker: [[label, origin], …]
ROWS, OFFSETS, TABLE, SUMMARY = "rows.jsonl", "rows.offsets", "rows.parquet", "summary.json"
# Differences between fine-tuned networks and their controls.
COMPARISON = "comparison.json"


def epoch_file(epoch: int) -> str:
    """File name of the engine's checkpoint after an epoch."""
    return f"epoch-{epoch:03d}.safetensors"


def seed_file(number: int) -> str:
    """File name of the curve of a library seed."""
    return f"seed-{number:05d}.safetensors"


def epoch_of(name: str) -> int:
    """The epoch in a checkpoint's file name; 0 for other files."""
    found = re.fullmatch(r"epoch-(\d+)\.safetensors", name)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class RunFiles:
    """File names of one fine-tuning run."""

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


SHARD_SUFFIXES = (".safetensors", ".jsonl")  # of finished shards: features, and rows of explanations
READING = "dataset.json"  # result of reading the images, so that later jobs need not decode them all again
