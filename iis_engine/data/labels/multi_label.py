"""Label sets of multi-label data: write them as a manifest, find the rarest label of an image, and require images with and without each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from iis_engine.errors import DataError, first_names

NO_LABEL = ""
"""Group of the images without any label."""


LABEL_LIST = "labels.jsonl"
"""Manifest beside images that come from tables."""


def write_label_list(folder: Path, rows: Iterable[tuple[str, tuple[str, ...], str | None]]) -> None:
    """Write a manifest of images: the path in the folder, the labels, and the split, None where the data define none.

    `iis_engine.data.labels.manifests` reads it.
    """
    with (folder / LABEL_LIST).open("w", encoding="utf-8") as file:
        for path, labels, split in rows:
            file.write(json.dumps({"path": path, "labels": labels, "split": split}) + "\n")


def rarest_labels(label_sets: Sequence[tuple[str, ...]]) -> list[str]:
    """The label of each image that fewest images have, the first in sorted order on a tie; `NO_LABEL` for an image without any.

    Wherever a single-label data set is stratified by class, a multi-label one is by these, so that rare labels reach both splits
    (a simplification of Sechidis et al., "On the Stratification of Multi-Label Data", ECML 2011).

    Examples
    --------
    >>> rarest_labels([("sky", "tree"), ("sky",), ("sky",), ()])
    ['tree', 'sky', 'sky', '']
    """
    counts = Counter(label for labels in label_sets for label in labels)
    return [min(labels, key=lambda label: (counts[label], label), default=NO_LABEL) for labels in label_sets]


def require_every_label(train: Iterable[tuple[str, ...]], names: Sequence[str]) -> None:
    """Require a training image with and one without each label.

    Raises
    ------
    DataError
        With the labels that lack one: a head for them has no optimum.
    """
    sets = list(train)
    counts = Counter(label for labels in sets for label in labels)
    for what, absent in (
        ("no training image", [name for name in names if not counts[name]]),
        ("no training image without them", [name for name in names if counts[name] == len(sets)]),
    ):
        if absent:
            raise DataError(
                f"{len(absent)} of {len(names)} labels have {what}: {first_names(absent)}. Every label needs at least one training image "
                "with it and one without it; leave out the others.",
                code="dataset_classes",
            )


def untested_labels(test: Iterable[tuple[str, ...]], names: Sequence[str]) -> list[str]:
    """A warning where labels have no test image.

    Raises
    ------
    DataError
        Where no label has one.
    """
    present = {label for labels in test for label in labels}
    absent = [name for name in names if name not in present]
    if not absent:
        return []
    if len(absent) == len(names):
        raise DataError("No test image has a label; a score needs test images with labels.", code="dataset_classes")
    return [
        f"{len(absent)} of {len(names)} labels have no test image and are left out of the mean average precision: {first_names(absent)}."
    ]
