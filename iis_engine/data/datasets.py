"""Read a folder as a labelled image data set: check every file, split, sort by content, compute the digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from iis_engine.data.class_folders import ClassImage, Split
from iis_engine.data.class_names import bounded_warnings, require_bounded_names
from iis_engine.data.folder_tree import read_folder_tree
from iis_engine.data.image_checks import CheckedImage, check_images, deep_colour_refusal, grey_bits_of
from iis_engine.data.images import BITS_MAX
from iis_engine.data.labelled_images import find_labelled_images
from iis_engine.data.manifests import ManifestChoice
from iis_engine.data.multi_label import NO_LABEL, require_every_label, untested_labels
from iis_engine.errors import DataError, first_names, printable
from iis_engine.notes import Notes
from iis_engine.progress import ProgressCallback, no_progress

CORRUPT_SHARE_MAX = 0.01
DOMINANT_SHARE = 0.5
"""Share of the training images above which one class among three or more dominates; of two classes, `DOMINANT_SHARE_OF_TWO`."""
DOMINANT_SHARE_OF_TWO = 0.8
_REASONS_LISTED = 5
_REASONS_KEPT = 50
_REASON_CHARACTERS_MAX = 200


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


def read_image_folder(
    root: Path,
    *,
    manifest: ManifestChoice | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> ImageDataset:
    """Read labelled images: class folders with or without folders for the splits, or images named by a manifest.

    Layouts that are read, and those that are refused, are listed in docs/inputs.md.

    Parameters
    ----------
    manifest : table of paths, labels and splits; None for class folders, or a recognisable table in the folder
    test_share : share of each class used as the test split if the data do not define one, in (0, 1)
    split_seed : seed of that split, which depends on the seed and each file's content alone
    progress : called with (files checked, files)

    Raises
    ------
    DataError
        For fewer than two classes, folders that are recognisably not classes, a class without train or test images, a label of
        multi-label data that no or every training image has, a manifest that does not fit the images, or more than 1 % corrupt images.
    """
    if not 0 < test_share < 1:
        raise DataError(f"test_share must lie between 0 and 1; it is {test_share}.", param="test_share")
    if not root.is_dir():
        raise DataError(f"{root.name} is not a folder of class folders.")
    found = find_labelled_images(read_folder_tree(root), manifest)
    warnings = list(found.warnings)
    class_names = tuple(sorted({name for image in found.images for name in _names_of(image)}))
    require_bounded_names(class_names)
    if len(class_names) < 2:
        content = f"one class ({class_names[0]})" if class_names else "no images in class folders"
        advice = "send at least two folders of images, one per class, or a manifest"
        raise DataError(
            " ".join([f"The data set has {content}; {advice}.", *warnings, *(() if class_names else found.notes)]), code="dataset_classes"
        )
    checked = check_images(found.images, progress)
    unreadable = [item for item in checked if item.problem is not None]
    corrupt = tuple(_relative(item.image.path, root) for item in unreadable)
    reasons = dict(Counter(printable(item.problem or "", _REASON_CHARACTERS_MAX) for item in unreadable).most_common(_REASONS_KEPT))
    if len(corrupt) > CORRUPT_SHARE_MAX * len(checked):
        raise too_many_corrupt(corrupt, len(checked), reasons)
    if corrupt:
        counted = f"{len(corrupt)} of {len(checked)} images are corrupt and were left out: {first_names(corrupt)}"
        warnings.append(f"{counted}. {_counted_reasons(reasons)}")
    images = sorted(
        (item for item in checked if item.problem is None), key=lambda item: (item.image.class_name, item.digest, item.image.path)
    )
    if (refusal := deep_colour_refusal(images)) is not None:
        raise refusal
    grey_bits, remark = grey_bits_of(images)
    warnings += remark
    split = _assign_splits(images, test_share, split_seed)
    labels = {name: label for label, name in enumerate((*class_names, NO_LABEL))}
    train = [item for item, where in zip(images, split, strict=True) if where == "train"]
    test = [item for item, where in zip(images, split, strict=True) if where == "test"]
    is_multi_label = any(image.labels is not None for image in found.images)
    if is_multi_label:
        require_every_label([_names_of(item.image) for item in train], class_names)
        warnings += untested_labels([_names_of(item.image) for item in test], class_names)
        per_class = Counter[str]()  # no label dominates where each has its own head
    else:
        _require_every_class(images, split, class_names, found.warnings)
        per_class = Counter(item.image.class_name for item in train)
    return ImageDataset(
        root=root,
        train=tuple(LabelledImage(item.image.path, labels[item.image.class_name]) for item in train),
        test=tuple(LabelledImage(item.image.path, labels[item.image.class_name]) for item in test),
        train_digests=tuple(item.digest for item in train),
        class_names=class_names,
        digest=_dataset_digest(images, split),
        corrupt=corrupt,
        ignored_count=found.ignored_count,
        warnings=bounded_warnings(Notes([*warnings, *_repetitions(train, test), *imbalance(per_class)]).sentences),
        notes=found.notes,
        corrupt_reasons=reasons,
        grey_bits=grey_bits,
        train_labels=_label_sets(train, labels) if is_multi_label else None,
        test_labels=_label_sets(test, labels) if is_multi_label else None,
    )


def too_many_corrupt(names: Iterable[str], total: int, reasons: dict[str, int] | None = None) -> DataError:
    """Return the error for a data set of `total` images of which more than 1 % cannot be decoded.

    Parameters
    ----------
    reasons : reason to its number of images
    """
    listed = tuple(names)
    why = f" {_counted_reasons(reasons)}" if reasons else ""
    counted = f"{len(listed)} of {total} images cannot be decoded, more than the 1 % allowed: {first_names(listed)}"
    return DataError(f"{counted}.{why} Replace or remove them.", code="dataset_corrupt")


def imbalance(counts: Counter[str]) -> list[str]:
    """Return a warning where one class has most of the training images, so that accuracy says little about the others.

    Examples
    --------
    >>> imbalance(Counter(cat=90, dog=10))
    ["'cat' has 90 % of the training images, so that a head that always answers it has this accuracy; balance the classes."]
    """
    if not counts:
        return []
    (name, count), total = counts.most_common(1)[0], counts.total()
    if count <= (DOMINANT_SHARE_OF_TWO if len(counts) == 2 else DOMINANT_SHARE) * total:
        return []
    share = f"{100 * count / total:.0f} % of the training images"
    return [f"{name!r} has {share}, so that a head that always answers it has this accuracy; balance the classes."]


def seeded_rank(seed: int, digest: str) -> str:
    """Return a sort key that depends on the seed and an image's content alone."""
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()


def _counted_reasons(reasons: dict[str, int]) -> str:
    return "; ".join(f"{count}: {reason}" for reason, count in list(reasons.items())[:_REASONS_LISTED]) + "."


def _names_of(image: ClassImage) -> tuple[str, ...]:
    """The labels of an image; its class in single-label data."""
    return (image.class_name,) if image.labels is None else image.labels


def _label_sets(images: list[CheckedImage], labels: dict[str, int]) -> LabelSets:
    return tuple(tuple(sorted(labels[name] for name in _names_of(item.image))) for item in images)


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _repetitions(train: list[CheckedImage], test: list[CheckedImage]) -> list[str]:
    """Return warnings about images that are in both splits or in several classes."""
    found = list[str]()
    if shared := {item.digest for item in train} & {item.digest for item in test}:
        found.append(f"{len(shared)} images of the test split are also in the train split, so accuracies are too high.")
    classes: dict[str, set[str]] = {}
    for item in (*train, *test):
        classes.setdefault(item.digest, set()).add(", ".join(_names_of(item.image)))
    if several := [names for names in classes.values() if len(names) > 1]:
        found.append(f"{len(several)} images are in more than one class, such as {first_names(sorted(several[0]))}.")
    return found


def _assign_splits(images: list[CheckedImage], test_share: float, seed: int) -> list[Split]:
    """Return each image's split: its folder's, else by the hash of seed and content within its class."""
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


def _require_every_class(images: list[CheckedImage], split: list[Split], class_names: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    present = Counter((item.image.class_name, where) for item, where in zip(images, split, strict=True))
    for where in ("train", "test"):
        absent = [name for name in class_names if not present[name, where]]
        if absent:
            raise DataError(
                f"{len(absent)} of {len(class_names)} classes have no {where} image: {first_names(absent)}. "
                + " ".join(["Every class needs at least one image to train on and one to test on.", *left_out]),
                code="dataset_classes",
            )


def _dataset_digest(images: list[CheckedImage], split: list[Split]) -> str:
    def described(item: CheckedImage) -> str | list[str]:
        return item.image.class_name if item.image.labels is None else sorted(item.image.labels)

    lines = sorted(json.dumps([described(item), where, item.digest]) for item, where in zip(images, split, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
