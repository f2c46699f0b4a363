"""Download data sets of the Hugging Face Hub and write them as class folders."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import datasets as hub
from PIL import Image

from iis_engine.data.class_folders import TEST_NAMES, TRAIN_NAMES
from iis_engine.data.datasets import ImageDataset, read_image_folder
from iis_engine.errors import DataError, first_line
from iis_engine.progress import ProgressCallback, no_progress

_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def read_hub_dataset(
    name: str,
    into: Path,
    *,
    configuration: str | None = None,
    revision: str | None = None,
    test_share: float = 0.2,
    split_seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> ImageDataset:
    """Download a labelled image data set from the Hub and write it below `into` as class folders.

    Parameters
    ----------
    name : OWNER/NAME on the Hub
    configuration, revision : the Hub's own; None for the defaults
    test_share, split_seed, progress : as in `read_image_folder`

    Raises
    ------
    DataError
        For a name that is not OWNER/NAME, a data set that cannot be downloaded, or one without exactly one image column and one class
        column.
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
    write_class_folders(cast("Mapping[str, Any]", splits), into)
    return read_image_folder(into, test_share=test_share, split_seed=split_seed, progress=progress)


def write_class_folders(splits: Mapping[str, Any], into: Path) -> None:
    """Write the train split and the test or validation split, if any, as class folders; files of the Hub keep their bytes.

    Parameters
    ----------
    splits : name of a split to `datasets.Dataset`

    Raises
    ------
    DataError
        For a data set without a train split, or without exactly one image column and one class column.
    """
    chosen = {
        "train": next((split for split in TRAIN_NAMES if split in splits), None),
        "test": next((split for split in TEST_NAMES if split in splits), None),
    }
    if chosen["train"] is None:
        raise DataError(f"The data set has no train split; it has {', '.join(splits)}.")
    for folder, split in chosen.items():
        if split is None:
            continue
        rows = splits[split]
        image_column = _only_column(rows, hub.Image, "image")
        label_column = _only_column(rows, hub.ClassLabel, "class label")
        names = [_folder_name(label) for label in cast("list[str]", rows.features[label_column].names)]
        for label in names:
            (into / folder / label).mkdir(parents=True, exist_ok=True)
        for index, (stored, label) in enumerate(_rows(rows, image_column, label_column)):
            _write_image(stored, into / folder / names[label] / f"{index:08d}")


def _only_column(rows: Any, feature_type: type, title: str) -> str:
    columns = [name for name, feature in rows.features.items() if isinstance(feature, feature_type)]
    if len(columns) != 1:
        raise DataError(f"The data set must have exactly one {title} column; it has {', '.join(columns) or 'none'}.")
    return columns[0]


def _rows(rows: Any, image_column: str, label_column: str) -> Iterator[tuple[dict[str, Any], int]]:
    undecoded = rows.select_columns([image_column, label_column]).cast_column(image_column, hub.Image(decode=False))
    for row in undecoded:
        if row[label_column] is not None and row[label_column] >= 0:  # -1: a test split with withheld labels
            yield row[image_column], row[label_column]


def _write_image(stored: dict[str, Any], stem: Path) -> None:
    content = stored["bytes"] if stored["bytes"] is not None else Path(stored["path"]).read_bytes()
    suffix = Path(stored["path"] or "").suffix.lower()
    if not suffix:
        with Image.open(io.BytesIO(content)) as image:
            suffix = f".{(image.format or 'png').lower()}"
    stem.with_suffix(suffix).write_bytes(content)


def _folder_name(label: str) -> str:
    """Replace characters that are not allowed in a folder's name on some operating system."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", label).strip(". ") or "_"
