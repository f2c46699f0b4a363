"""Refuse folders that are recognisably not classes: splits, domains, parts of one set, or images beside their annotations."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import combinations
from pathlib import PurePath

from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.folders.split_names import parse_split_name
from iis_engine.errors import DataError, first_names

MANIFEST_ADVICE = "or add a manifest, a CSV file with the columns path and label"
_PART = re.compile(r"(part|batch|shard|chunk|session|camera|cam|seq|sequence|video|clip|view|run)s?[\s_.-]*\d+")
_PARTS_OF_IMAGES = re.compile(r".*(part|batch|shard|chunk|images|fold)[\s_.-]*\d+")
_IMAGE_WORDS = frozenset(("image", "images", "img", "imgs", "jpegimages", "photo", "photos", "pictures", "rgb"))
_ANNOTATION_WORDS = frozenset(
    (
        *("annotation", "annotations", "mask", "masks", "label", "labels", "trimap", "trimaps", "gt", "groundtruth", "depth"),
        *("segmentation", "segmentations", "segmentationclass", "segmentationobject", "bbox", "bboxes", "edges", "landmarks"),
    )
)
_EQUAL_NAMES_SHARE = 0.9
_EQUAL_NAMES_MIN = 3
_HOLDERS_MAX = 20
_NUMBERS_RANGE = 10


def require_class_folders(classes: Sequence[Folder]) -> None:
    """Check that folders of images can be classes.

    Raises
    ------
    DataError
        For images beside annotations, folders that hold the same subfolders or files of the same names, and numbered parts. The message
        names the folders and says what to send.
    """
    if len(classes) < 2:
        return
    _refuse_annotations(classes)
    _refuse_flat_splits(classes)
    _refuse_equal_subfolders(classes)
    _refuse_parts(classes)
    _refuse_equal_names(classes)


def is_annotation_folder(name: str) -> bool:
    """Whether a folder is named for annotations of images: masks, trimaps, labels, ground_truth, …"""
    return _word(name) in _ANNOTATION_WORDS


def _word(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name.casefold())


def _refuse_annotations(classes: Sequence[Folder]) -> None:
    images = [folder.name for folder in classes if _word(folder.name) in _IMAGE_WORDS]
    annotations = [folder.name for folder in classes if is_annotation_folder(folder.name)]
    if images and annotations:
        raise _refusal(
            f"The folders {first_names([*images, *annotations])} are images and their annotations, not classes. "
            f"Send {images[0]} alone with one folder of images per class, {MANIFEST_ADVICE}."
        )


def _refuse_flat_splits(classes: Sequence[Folder]) -> None:
    named = [parse_split_name(folder.name) for folder in classes]
    splits = [split for split in named if split is not None]
    if len(splits) == len(classes) and len({split.rest for split in splits}) == 1 and any(split.role == "train" for split in splits):
        raise _refusal(
            f"The folders {first_names([folder.name for folder in classes])} look like splits without class folders inside. "
            f"Put one folder of images per class into each, {MANIFEST_ADVICE}."
        )


def _refuse_equal_subfolders(classes: Sequence[Folder]) -> None:
    inner = {folder.name: _subfolder_names(folder) for folder in classes}
    holders = {name: names for name, names in inner.items() if names}
    counts = Counter(name.casefold() for names in holders.values() for name in names)
    repeated = [name for name, count in counts.items() if count > 1 and not _PART.fullmatch(name)]
    sharing = [name for name, names in holders.items() if any(each.casefold() in repeated for each in names)]
    if 2 * len(repeated) < len(counts) or 2 * len(sharing) < len(classes) or not repeated:
        return
    kind = "splits" if all(parse_split_name(name) for name in sharing) else "domains or splits"
    raise _refusal(
        f"The folders {first_names(sharing)} hold the same subfolders ({first_names(sorted(repeated))}), so they look like {kind}, "
        "not classes. Send one folder of images per class, with folders train and test above them if there are splits; send one domain "
        f"alone; {MANIFEST_ADVICE}."
    )


def _subfolder_names(folder: Folder) -> list[str]:
    """Names of the folders with images inside, below single folders such as images/; empty where images lie beside them."""
    while not folder.images and len(folder.with_images) == 1:
        folder = folder.with_images[0]
    return [] if folder.images else [inner.name for inner in folder.with_images]


def _refuse_parts(classes: Sequence[Folder]) -> None:
    names = [folder.name.casefold() for folder in classes]
    stems = {re.sub(r"[\s_.-]*\d+$", "", name) for name in names}
    if len(stems) == 1 and all(_PARTS_OF_IMAGES.fullmatch(name) for name in names):
        raise _refusal(
            f"The folders {first_names([folder.name for folder in classes])} look like numbered parts of one set, not classes. "
            f"Send one folder of images per class, {MANIFEST_ADVICE}."
        )


def _refuse_equal_names(classes: Sequence[Folder]) -> None:
    """Refuse two folders whose files have the same names, unless these only count: 0001, img_12, frame (3)."""
    stems = {folder.name: {PurePath(path.name).stem for path in folder.image_paths()} for folder in classes}
    holders = defaultdict[str, list[str]](list)
    for name, held in stems.items():
        for stem in held:
            holders[stem].append(name)
    few = (names for names in holders.values() if 1 < len(names) <= _HOLDERS_MAX)
    shared = Counter(pair for names in few for pair in combinations(names, 2))
    for (one, other), count in shared.items():
        larger = max(len(stems[one]), len(stems[other]))
        if count < max(_EQUAL_NAMES_MIN, _EQUAL_NAMES_SHARE * larger):
            continue
        equal = stems[one] & stems[other]  # an odd file beside numbered ones makes these no less numbered
        if _only_count(equal) or (_are_numbers(equal) and count < larger):
            continue
        examples = first_names(sorted(equal), 3)
        raise _refusal(
            f"The folders {one}, {other} hold files of the same names ({examples}), so they look like images and their annotations "
            f"or versions, not classes. Send one folder of images per class, {MANIFEST_ADVICE}."
        )


def _only_count(stems: Collection[str]) -> bool:
    """Whether names are numbers after one common text, a tenth of those in their range at least, so that equal names say nothing.

    Examples
    --------
    >>> _only_count(["img_1", "img_2", "img_3"]), _only_count(["139", "285", "632"]), _only_count(["cat_1", "dog_1"])
    (True, False, False)
    """
    if not _are_numbers(stems):
        return False
    numbers = {int(re.sub(r"\D", "", stem)) for stem in stems}
    return max(numbers) - min(numbers) < _NUMBERS_RANGE * len(numbers)


def _are_numbers(stems: Collection[str]) -> bool:
    """Whether names are numbers after, or before, one common text."""
    return len({re.sub(r"\d+", "0", stem, count=1) for stem in stems}) == 1 and all(len(re.findall(r"\d+", stem)) == 1 for stem in stems)


def _refusal(message: str) -> DataError:
    return DataError(message, code="dataset_classes")
