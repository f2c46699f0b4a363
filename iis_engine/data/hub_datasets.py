"""Download data sets of the Hugging Face Hub and write them as class folders, or as images with a list of their labels."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import datasets as hub
from PIL import Image

from iis_engine.data.datasets import read_image_folder
from iis_engine.data.folders.folder_names import folder_names
from iis_engine.data.folders.split_names import parse_split_name
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.data.labels.multi_label import write_label_list
from iis_engine.errors import DataError, first_line, first_names
from iis_engine.progress import ProgressCallback, no_progress

_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_LABEL_NAMES = ("label", "labels", "fine_label", "class", "class_name", "category", "target")
"""Usual names of a label column, where several columns or none have the type of one."""
_LISTS = (hub.List, hub.LargeList)
_Listed = tuple[str, tuple[str, ...], str]
"""Path, labels and split of an image."""


def read_hub_dataset(
    name: str,
    into: Path,
    *,
    configuration: str | None = None,
    revision: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> ImageDataset:
    """Download a labelled image data set from the Hub and write it below `into`.

    Parameters
    ----------
    name : OWNER/NAME on the Hub
    configuration, revision : the Hub's own; None for the defaults
    image_column, label_column : as in `write_class_folders`
    test_share, split_seed, progress : as in `read_image_folder`

    Raises
    ------
    DataError
        For a name that is not OWNER/NAME, a data set that cannot be downloaded, or one whose columns are not found.
    """
    if not _NAME.fullmatch(name) or Path(name).exists():  # the Hub's client would read a local folder of that name
        raise DataError(f"{name!r} is not the name of a Hub data set; write OWNER/NAME.", param="name")
    try:
        splits = hub.load_dataset(name, configuration, revision=revision)
    except Exception as error:  # the Hub's client and its HTTP library share no exception below Exception
        raise DataError(
            f"The data set {name} could not be downloaded from the Hub ({first_line(error)}); upload it as an archive of class folders.",
            code="dataset_unavailable",
            param="name",
        ) from error
    write_class_folders(cast("Mapping[str, Any]", splits), into, image_column=image_column, label_column=label_column)
    return read_image_folder(into, test_share=test_share, split_seed=split_seed, progress=progress)


def write_class_folders(
    splits: Mapping[str, Any], into: Path, *, image_column: str | None = None, label_column: str | None = None
) -> tuple[str, ...]:
    """Write the train split, and the first of test and validation that has labels; files of the Hub keep their bytes.

    Images of one class each are written as class folders; where the column of labels has lists, with a manifest of labels and splits.

    Parameters
    ----------
    splits : name of a split to `datasets.Dataset`
    image_column : None for the only column of images
    label_column : None for the only column of class labels, or else one with a usual name; its values may be text, integers, or lists of
        these or of class labels

    Returns
    -------
    Names of the splits written: train, and the one that became the test split, if any.

    Raises
    ------
    DataError
        For a data set without a train split, without these columns, or with labels that become the same folder name.
    """
    named = [(split, parsed) for split in splits if (parsed := parse_split_name(split)) is not None]
    train = next((split for split, parsed in named if parsed.role == "train"), None)
    if train is None:
        raise DataError(f"The data set has no train split; it has {', '.join(splits)}.")
    held_out = sorted((parsed.role != "test", split) for split, parsed in named if parsed.role != "train")
    written, listed = [train], _write_split(splits[train], into, "train", image_column, label_column)
    for _, split in held_out:
        if rows := _write_split(splits[split], into, "test", image_column, label_column):
            written.append(split)
            listed += rows
            break
    if isinstance(splits[train].features[_label_column(splits[train], label_column)], _LISTS):
        write_label_list(into, listed)
    return tuple(written)


def _write_split(rows: Any, into: Path, split: str, image_column: str | None, label_column: str | None) -> list[_Listed]:
    """Write the labelled images of a split below `into`; return each with its path there and its labels."""
    images = _image_column(rows, image_column)
    column = _label_column(rows, label_column)
    names = _label_names(rows, column)
    if isinstance(rows.features[column], _LISTS) and not any(label in names for cell in rows[column] for label in cell or ()):
        return []  # labels are withheld
    folders = None if isinstance(rows.features[column], _LISTS) else folder_names([*names.values()])
    listed = list[_Listed]()
    for stored, labels in _rows(rows, images, column, names):
        folder = Path("images" if folders is None else split, split if folders is None else folders[labels[0]])
        (into / folder).mkdir(parents=True, exist_ok=True)
        path = _write_image(stored, into / folder / f"{len(listed):08d}")
        listed.append((path.relative_to(into).as_posix(), labels, split))
    return listed


def _image_column(rows: Any, given: str | None) -> str:
    columns = [name for name, feature in rows.features.items() if isinstance(feature, hub.Image)]
    if given is not None and given not in columns:
        raise _absent("image_column", given, columns, "columns of images")
    if given is None and len(columns) != 1:
        raise DataError(f"The data set must have exactly one image column; it has {', '.join(columns) or 'none'}.", param="image_column")
    return given or columns[0]


def _label_column(rows: Any, given: str | None) -> str:
    classes = [name for name, feature in rows.features.items() if isinstance(_element(feature), hub.ClassLabel)]
    plain = [name for name, feature in rows.features.items() if isinstance(_element(feature), hub.Value)]
    if given is not None:
        if given not in (*classes, *plain):
            raise _absent("label_column", given, [*classes, *plain], "columns of labels")
        return given
    if len(classes) == 1:
        return classes[0]
    usual = [name for name in _LABEL_NAMES if name in (classes or plain)]
    if classes or len(usual) != 1:
        found = f"class label columns {', '.join(classes)}" if classes else f"no class label column, but {first_names(plain) or 'none'}"
        raise DataError(f"The data set must have exactly one class label column; it has {found}. Name one.", param="label_column")
    return usual[0]


def _element(feature: Any) -> Any:
    """The type of one label: that of the elements of a list."""
    return feature.feature if isinstance(feature, _LISTS) else feature


def _absent(param: str, given: str, columns: list[str], title: str) -> DataError:
    return DataError(f"{given!r} is not among the {title} of the data set: {', '.join(columns) or 'there are none'}.", param=param)


def _label_names(rows: Any, column: str) -> dict[Any, str]:
    """Map the stored labels to class names; labels that are withheld are left out: -1 of a class label, or none."""
    is_list, feature = isinstance(rows.features[column], _LISTS), _element(rows.features[column])
    if isinstance(feature, hub.ClassLabel):
        return dict(enumerate(feature.names))
    stored = {label for cell in rows[column] for label in cell or ()} if is_list else rows.unique(column)
    return {label: str(label) for label in stored if label is not None and label != ""}


def _rows(rows: Any, image_column: str, label_column: str, names: dict[Any, str]) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """Each image with its labels; an empty list is an image without any, and labels of which none has a name are withheld."""
    undecoded = rows.select_columns([image_column, label_column]).cast_column(image_column, hub.Image(decode=False))
    is_list = isinstance(rows.features[label_column], _LISTS)
    for row in undecoded:
        cell = row[label_column]
        if row[image_column] is None or cell is None or (not is_list and cell not in names):
            continue
        stored: list[Any] = cell if is_list else [cell]
        known = tuple(dict.fromkeys(names[label] for label in stored if label in names))
        if known or not stored:
            yield row[image_column], known


def _write_image(stored: dict[str, Any], stem: Path) -> Path:
    content = stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()
    suffix = Path(stored["path"] or "").suffix.lower()
    if not suffix:
        with Image.open(io.BytesIO(content)) as image:
            suffix = f".{(image.format or 'png').lower()}"
    path = stem.with_suffix(suffix)
    path.write_bytes(content)
    return path
