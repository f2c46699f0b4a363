"""Read a folder as a labelled image data set: check every file, split, sort by content, compute the digest."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from iis_engine.data.class_names import bounded_warnings, require_bounded_names
from iis_engine.data.decoding.image_checks import CheckedImage, check_images, deep_colour_refusal, grey_bits_of
from iis_engine.data.folders.class_folders import ClassImage, Split
from iis_engine.data.folders.folder_tree import read_folder_tree
from iis_engine.data.image_dataset import ImageDataset, LabelledImage, LabelSets
from iis_engine.data.labelled_images import find_labelled_images
from iis_engine.data.labels.manifests import ManifestChoice
from iis_engine.data.labels.multi_label import NO_LABEL, require_every_label, untested_labels
from iis_engine.data.splits import assign_splits, require_every_class
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
    split = assign_splits(images, test_share, split_seed)
    labels = {name: label for label, name in enumerate((*class_names, NO_LABEL))}
    train = [item for item, where in zip(images, split, strict=True) if where == "train"]
    test = [item for item, where in zip(images, split, strict=True) if where == "test"]
    is_multi_label = any(image.labels is not None for image in found.images)
    if is_multi_label:
        require_every_label([_names_of(item.image) for item in train], class_names)
        warnings += untested_labels([_names_of(item.image) for item in test], class_names)
        per_class = Counter[str]()  # no label dominates where each has its own head
    else:
        require_every_class(images, split, class_names, found.warnings)
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


def _dataset_digest(images: list[CheckedImage], split: list[Split]) -> str:
    def described(item: CheckedImage) -> str | list[str]:
        return item.image.class_name if item.image.labels is None else sorted(item.image.labels)

    lines = sorted(json.dumps([described(item), where, item.digest]) for item, where in zip(images, split, strict=True))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
