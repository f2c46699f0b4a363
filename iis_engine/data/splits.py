"""Assign images to the train and the test split by seed and content, and require every class in both."""

from __future__ import annotations

import hashlib
from collections import Counter

from iis_engine.data.decoding.image_checks import CheckedImage
from iis_engine.data.folders.class_folders import Split
from iis_engine.errors import DataError, first_names


def seeded_rank(seed: int, digest: str) -> str:
    """Return a sort key that depends on the seed and an image's content alone."""
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def assign_splits(images: list[CheckedImage], test_share: float, seed: int) -> list[Split]:
    """Return each image's split: its folder's, else by the hash of seed and content within its class.

    Parameters
    ----------
    test_share : of each class, in (0, 1)
    """
    split: list[Split] = [item.image.split or "train" for item in images]
    members: dict[str, list[int]] = {}
    for index, item in enumerate(images):
        if item.image.split is None:
            members.setdefault(item.image.class_name, []).append(index)
    for indices in members.values():
        ranked = sorted(indices, key=lambda index: seeded_rank(seed, images[index].digest))
        if len(indices) > 1:
            test_count = min(max(1, round(test_share * len(indices))), len(indices) - 1)
            for index in ranked[:test_count]:
                split[index] = "test"
    return split


def require_every_class(images: list[CheckedImage], split: list[Split], class_names: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    """Require images of every class in both splits.

    Parameters
    ----------
    left_out : sentences about folders that were left out, for the message

    Raises
    ------
    DataError
        For a class without train or test images.
    """
    present = Counter((item.image.class_name, where) for item, where in zip(images, split, strict=True))
    for where in ("train", "test"):
        absent = [name for name in class_names if not present[name, where]]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(class_names)} classes have no {where} image: {first_names(absent)}. "
                + " ".join(["Every class needs at least one image to train on and one to test on.", *left_out]),
                code="dataset_classes",
            )
