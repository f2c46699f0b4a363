"""Read a manifest: a table that names images with their labels and splits. Each row is matched to a file of the data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from iis_engine.data.folders.class_folders import ClassImage, ClassImages, Split
from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.folders.split_names import SplitRole, parse_split_name
from iis_engine.data.labels.image_index import ImageIndex
from iis_engine.data.labels.label_forms import Labels, labels_of_column, labels_of_indicators
from iis_engine.data.labels.manifest_columns import ManifestColumns, find_columns
from iis_engine.data.labels.multi_label import rarest_labels
from iis_engine.data.labels.tables import TABLE_SUFFIXES, Table, read_table, with_header_as_row
from iis_engine.errors import DataError, first_names
from iis_engine.notes import Notes

MATCHED_SHARE_MIN = 0.5
"""Share of a manifest's rows that must name an image, so that a list of other files is not taken for one."""
SEVERAL_SHARE_MIN = 0.1
"""Share of the images with rows of different labels from which these are several labels, and not errors."""
_TABLES_TRIED_MAX = 50
_TRUE, _FALSE = frozenset(("1", "true", "yes")), frozenset(("0", "false", "no"))


@dataclass(frozen=True)
class ManifestChoice:
    """The manifest that a user chose.

    Attributes
    ----------
    file : a table beside the data set; None for one inside
    name : path of a table inside the data set; None to find it
    columns : names of columns under path, label and split, where they are given
    """

    file: Path | None = None
    name: str | None = None
    columns: dict[str, str] = field(default_factory=dict[str, str])


class _Row(NamedTuple):
    path: Path
    labels: tuple[str, ...]
    role: SplitRole | None


@dataclass(frozen=True)
class Manifest:
    """A table whose columns are recognised."""

    table: Table
    columns: ManifestColumns
    folder: str
    role: SplitRole | None

    def describe(self) -> str:
        """Name the table and its columns."""
        split = f", {self.columns.split!r} as split" if self.columns.split else ""
        classes = self.columns.indicators
        label = f"{len(classes)} columns of 0 and 1" if classes else repr(self.columns.label)
        return f"{self.table.name} ({self.columns.path!r} as path, {label} as label{split})"


def open_manifest(path: Path, folder: str, index: ImageIndex, columns: dict[str, str], *, is_chosen: bool = False) -> Manifest | None:
    """Read a table and recognise its columns; None if it is not a manifest of these images.

    Parameters
    ----------
    folder : folder of the table relative to the data set
    columns : as in `ManifestChoice`
    is_chosen : as in `find_columns`
    """
    table = read_table(path)

    def names_image(cell: str) -> bool:
        return index.find(cell, folder) is not None

    if path.suffix.lower() in (".csv", ".tsv") and any(names_image(name) for name in table.columns):
        table = with_header_as_row(table)
    found = find_columns(table, names_image, columns, is_chosen=is_chosen)
    if found is None:
        return None
    named = next((split for part in (path.stem, *reversed(PurePosixPath(folder).parts)) if (split := parse_split_name(part))), None)
    return Manifest(table, found, folder, named.role if named else None)


def require_manifest(tree: Folder, choice: ManifestChoice, index: ImageIndex) -> Manifest:
    """Open the manifest that a user chose.

    Raises
    ------
    DataError
        If it does not exist, cannot be read, or has no columns of paths of these images and of labels.
    """
    path, folder = choice.file, ""
    if choice.name is not None:
        path = next((found for found in _tables_in(tree) if found.relative_to(tree.path).as_posix() == choice.name), None)
        folder = "" if path is None else _folder_of(path, tree)
    if path is None:
        raise DataError(f"The data set contains no table {choice.name!r}.", code="manifest_absent", param="manifest")
    manifest = open_manifest(path, folder, index, choice.columns, is_chosen=True)
    if manifest is None:
        columns = first_names(list(read_table(path).columns), 20)
        raise DataError(
            f"{path.name} is not recognised as a manifest; its columns are {columns}. Name the columns of the images' paths and of "
            "their labels with path_column and label_column; the paths must be those in the data set.",
            code="manifest_columns",
            param="manifest",
        )
    return manifest


def find_manifests(tree: Folder, index: ImageIndex) -> list[Manifest]:
    """The tables in a data set that are recognised as manifests of its images; sample submissions are not."""
    found = list[Manifest]()
    for path in _tables_in(tree)[:_TABLES_TRIED_MAX]:
        if "submission" in path.name.casefold():
            continue
        try:
            manifest = open_manifest(path, _folder_of(path, tree), index, {})
        except DataError:
            continue  # a table of something else
        if manifest is not None:
            found.append(manifest)
    return [manifest for manifest in found if not manifest.columns.indicators] or found


def read_manifests(tree: Folder, manifests: Sequence[Manifest], index: ImageIndex) -> ClassImages:
    """List the images that manifests name, with their classes and splits.

    Raises
    ------
    DataError
        For rows of which most name no image, an image with several splits, single images with rows of different labels, a split that
        is not understood, and labels that differ in case alone.
    """
    warnings, notes = Notes(), Notes()
    listed = _merge([row for manifest in manifests for row in _rows(manifest, index, warnings)])
    several = sum(len(row.labels) > 1 for row in listed)
    notes.add(f"Labels were read from {first_names([manifest.describe() for manifest in manifests])}.")
    if several:
        label_count = len({label for row in listed for label in row.labels})
        notes.add(f"The data are multi-label: {several} of {len(listed)} images have several of the {label_count} labels.")
    elif bare := [row for row in listed if not row.labels]:
        warnings.add(f"{len(bare)} images have none of the labels of the manifest and were left out.")
        listed = [row for row in listed if row.labels]
    images = _with_splits(listed, warnings, is_multi_label=several > 0)
    if (unlisted := index.count - len(listed)) > 0:
        warnings.add(f"{unlisted} images have no label in the manifest and were left out.")
    others = sum(len(folder.others) for folder in tree.walk())
    return ClassImages(tuple(images), len(index.paths) - len(images) + others, warnings.sentences, notes.sentences)


def _merge(rows: Sequence[_Row]) -> list[_Row]:
    """One row for each image, with the labels of all its rows.

    Raises
    ------
    DataError
        For an image in several splits, and where so few images have rows of different labels that these look like errors.
    """
    merged, repeated = dict[Path, _Row](), dict[Path, tuple[_Row, _Row]]()
    for row in rows:
        other = merged.setdefault(row.path, row)
        if other.role != row.role:
            raise DataError(
                f"{row.path.name} has several splits in the manifest ({other.role} and {row.role}); each image needs one.",
                code="manifest_labels",
                param="manifest",
            )
        if set(other.labels) != set(row.labels):
            repeated.setdefault(row.path, (other, row))
            merged[row.path] = row._replace(labels=tuple(dict.fromkeys((*other.labels, *row.labels))))
    if repeated and len(repeated) < SEVERAL_SHARE_MIN * len(merged) and all(len(row.labels) < 2 for row in rows):
        path, (one, other) = next(iter(repeated.items()))
        raise DataError(
            f"{path.name} has several labels in the manifest ({''.join(one.labels)!r} and {''.join(other.labels)!r}), as have "
            f"{len(repeated)} of {len(merged)} images. Where each image has one label, correct these rows; of multi-label data join the "
            "labels of an image by | in one row.",
            code="manifest_labels",
            param="manifest",
        )
    return list(merged.values())


def _rows(manifest: Manifest, index: ImageIndex, warnings: Notes) -> list[_Row]:
    table, columns = manifest.table, manifest.columns
    paths = table.text(columns.path)
    labels = labels_of_indicators(table, columns.indicators) if columns.indicators else labels_of_column(table, columns.label)
    splits = table.text(columns.split) if columns.split else [None] * len(table)
    withheld = frozenset[Labels]((("-1",),)) if len(set(labels) - {("-1",), None}) > 1 else frozenset[Labels]()
    rows, missing, unlabelled = list[_Row](), list[str](), 0
    for path, named, split in zip(paths, labels, splits, strict=True):
        if path is None:
            continue
        found = index.find(path, manifest.folder)
        if found is None:
            missing.append(path)
        elif named is None or named in withheld:
            unlabelled += 1
        else:
            role = _role(split, columns.split, table.name) if split is not None and columns.split else manifest.role
            rows.append(_Row(found, tuple(normalize("NFC", label) for label in named), role))
    if len(missing) > (1 - MATCHED_SHARE_MIN) * len(table):
        raise DataError(
            f"{len(missing)} of {len(table)} rows of {table.name} name no image of the data set, or several: {first_names(missing)}. "
            "Write paths as they are in the data set.",
            code="manifest_paths",
            param="manifest",
        )
    if missing:
        warnings.add(f"{len(missing)} of {len(table)} rows of {table.name} name no image of the data set: {first_names(missing, 3)}.")
    if unlabelled:
        warnings.add(f"{unlabelled} of {len(table)} rows of {table.name} have no label, and their images were left out.")
    return rows


def _role(value: str, column: str, name: str) -> SplitRole:
    asks_test = "test" in column.casefold()
    if value.casefold() in _TRUE | _FALSE and (asks_test or "train" in column.casefold()):
        return "test" if (value.casefold() in _TRUE) == asks_test else "train"
    named = parse_split_name(value)
    if named is None:
        raise DataError(
            f"The split {value!r} in the column {column!r} of {name} is not understood; write train, validation or test.",
            code="manifest_split",
            param="manifest",
        )
    return named.role


def _with_splits(rows: Sequence[_Row], warnings: Notes, *, is_multi_label: bool) -> list[ClassImage]:
    """Choose the test split, else the validation split; without either, the images are split later."""
    groups = rarest_labels([row.labels for row in rows])  # of a single label that label

    def image(row: _Row, group: str, split: Split | None) -> ClassImage:
        return ClassImage(row.path, group, split, row.labels if is_multi_label else None)

    counts = Counter(row.role for row in rows)
    if not counts["train"] or not (counts["test"] or counts["validation"]):
        if counts["train"] and counts[None]:
            warnings.add(f"{counts[None]} images have no split in the manifest and are split with the others.")
        return [image(row, group, None) for row, group in zip(rows, groups, strict=True)]
    held_out: SplitRole = "test" if counts["test"] else "validation"
    roles: dict[SplitRole | None, Split] = {"train": "train", held_out: "test"}
    if left_out := sum(count for role, count in counts.items() if role not in roles):
        warnings.add(f"The {held_out} images of the manifest are the test split; {left_out} images of other splits were left out.")
    return [image(row, group, roles[row.role]) for row, group in zip(rows, groups, strict=True) if row.role in roles]


def _tables_in(tree: Folder) -> list[Path]:
    """The tables of a data set, those nearest to its top first."""
    found = [folder.path / name for folder in tree.walk() for name in folder.others if Path(name).suffix.lower() in TABLE_SUFFIXES]
    return sorted(found, key=lambda path: (len(path.parts), path))


def _folder_of(path: Path, tree: Folder) -> str:
    relative = normalize("NFC", path.parent.relative_to(tree.path).as_posix())
    return "" if relative == "." else relative
