"""Labelled images in a train and a test split, and their record as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from iis_engine.data.decoding.images import BITS_MAX

LabelSets = tuple[tuple[int, ...], ...]


class LabelledImage(NamedTuple):
    """An image file and its class index."""

    path: Path
    label: int


@dataclass(frozen=True)
class ImageDataset:
    """Labelled images in a train and a test split, sorted by class and content: file names and their order have no effect.

    Attributes
    ----------
    root : folder that contains every path
    train, test : images with labels 0..C-1; of multi-label data the rarest label of each image, C for an image without any
    train_digests : sha256 of the bytes of each training file
    class_names : C names in label order
    digest : sha256 over class names, contents and split
    corrupt : files that could not be decoded, relative to `root`
    ignored_count : files that are not labelled images; hidden and system files do not count
    warnings : why a score of these images may mislead, one sentence each
    notes : what was chosen, converted or left out, one sentence each
    corrupt_reasons : reason to the number of images that could not be decoded for it
    train_labels, test_labels : all labels of each image of multi-label data; None for single-label data
    grey_bits : bits in use of the 16-bit grey images, of which the upper 8 are kept; None without such images
    """

    root: Path
    train: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    train_digests: tuple[str, ...]
    class_names: tuple[str, ...]
    digest: str
    corrupt: tuple[str, ...] = ()
    ignored_count: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    corrupt_reasons: dict[str, int] = field(default_factory=dict[str, int])
    grey_bits: int | None = None
    train_labels: LabelSets | None = None
    test_labels: LabelSets | None = None

    @property
    def is_multi_label(self) -> bool:
        """Whether images have a set of labels in the place of one class."""
        return self.train_labels is not None

    @property
    def counts(self) -> dict[str, int]:
        """Number of classes, train and test images, corrupt and ignored files."""
        return {
            "classes": len(self.class_names),
            "train": len(self.train),
            "test": len(self.test),
            "corrupt": len(self.corrupt),
            "ignored": self.ignored_count,
        }

    def save(self, path: Path) -> None:
        """Write paths, labels, digests and warnings as JSON, so that the images need not be checked again."""
        contents = {
            "train": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.train],
            "test": [[image.path.relative_to(self.root).as_posix(), image.label] for image in self.test],
            "train_digests": self.train_digests,
            "class_names": self.class_names,
            "digest": self.digest,
            "corrupt": self.corrupt,
            "ignored_count": self.ignored_count,
            "warnings": self.warnings,
            "notes": self.notes,
            "corrupt_reasons": self.corrupt_reasons,
            "grey_bits": self.grey_bits,
        }
        if self.is_multi_label:
            contents |= {"train_labels": self.train_labels, "test_labels": self.test_labels}
        path.write_text(json.dumps(contents), encoding="utf-8")

    @staticmethod
    def load(path: Path, root: Path) -> ImageDataset:
        """Read a file written by `save`.

        Parameters
        ----------
        root : folder that contains the images now
        """
        contents: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        train, test = (tuple(LabelledImage(root / name, label) for name, label in contents[split]) for split in ("train", "test"))
        label_sets = [
            tuple(map(tuple, contents[f"{split}_labels"])) if f"{split}_labels" in contents else None for split in ("train", "test")
        ]
        return ImageDataset(
            root=root,
            train=train,
            test=test,
            train_digests=tuple(contents["train_digests"]),
            class_names=tuple(contents["class_names"]),
            digest=contents["digest"],
            corrupt=tuple(contents["corrupt"]),
            ignored_count=contents["ignored_count"],
            warnings=tuple(contents["warnings"]),
            notes=tuple(contents.get("notes", ())),  # older files lack the last three
            corrupt_reasons=dict(contents.get("corrupt_reasons", {})),
            grey_bits=contents.get("grey_bits", BITS_MAX),
            train_labels=label_sets[0],
            test_labels=label_sets[1],
        )
