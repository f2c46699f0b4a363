"""Unpack uploaded images: an archive, Parquet tables of encoded images inside it or alone, and WebDataset shards inside it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, cast

from iis_engine.data.archives.unpacking import ArchiveLimits, unpack_archive
from iis_engine.data.decoding.images import SUFFIXES
from iis_engine.data.folders.folder_names import folder_names
from iis_engine.data.folders.folder_tree import read_folder_tree
from iis_engine.data.folders.split_names import SplitRole, parse_split_name
from iis_engine.data.labels.label_forms import Labels, labels_of_column
from iis_engine.data.labels.manifest_columns import LABEL_NAMES, first_named
from iis_engine.data.labels.multi_label import write_label_list
from iis_engine.data.labels.tables import Table, parquet_columns, parquet_metadata, parquet_rows
from iis_engine.errors import DataError, first_names

_IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "png", "bytes", "image_bytes")
_PARQUET_MAGIC = b"PAR1"
IMAGES = "images"
"""Folder of the images that a manifest names."""


def unpack_images(archive: Path, into: Path, limits: ArchiveLimits | None = None) -> None:
    """Unpack an archive, or a single Parquet file, into a new folder of image files.

    Parquet files with a column of encoded images are replaced by class folders, or by images with a manifest of their labels; tar files
    inside the archive, such as WebDataset shards, by folders of their names.

    Raises
    ------
    DataError
        As `unpack_archive`, and for Parquet tables without labels or with labels that cannot be folder names.
    """
    limits = limits or ArchiveLimits()
    with archive.open("rb") as file:
        is_parquet = file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    if is_parquet:
        into.mkdir(parents=True, exist_ok=True)
        _write_tables([archive], into, archive.parent, limits)
        return
    limits = limits.after(unpack_archive(archive, into, limits))
    tree = read_folder_tree(into)
    files = [folder.path / name for folder in tree.walk() for name in folder.others]
    for shard in (path for path in files if path.suffix.lower() == ".tar"):
        limits = limits.after(unpack_archive(shard, shard.with_suffix(""), limits))
        shard.unlink()
    tables = _tables_of_images(path for path in files if path.suffix.lower() == ".parquet")
    if tables:
        _write_tables(tables, into, into, limits)
        for path in tables:
            path.unlink()


def _tables_of_images(paths: Iterable[Path]) -> list[Path]:
    """The tables with a column of images; a damaged one is refused beside these, and else left among the files that are no images."""
    tables, damaged = list[Path](), list[DataError]()
    for path in paths:
        try:
            if _image_column(path) is not None:
                tables.append(path)
        except DataError as error:
            damaged.append(error)
    if tables and damaged:
        raise damaged[0]
    return tables


def _write_tables(tables: Sequence[Path], into: Path, root: Path, limits: ArchiveLimits) -> None:
    """Write the images of tables as SPLIT/CLASS/…, or as CLASS/… where no table is named for a split.

    Images with several labels are written to one folder, with a manifest of their labels and splits.
    """
    roles: dict[Path, SplitRole | None] = {path: _role(path, root) for path in tables}
    if None in roles.values() and len(set(roles.values())) > 1:
        names = first_names([path.name for path, role in roles.items() if role is None])
        raise DataError(f"Some Parquet files are named for a split and others are not: {names}; name each train, validation or test.")
    columns = {path: _columns(path) for path in tables}
    labels = _label_sets({path: label for path, (_, label) in columns.items()})
    packed = _PackedImages(tables, roles, {path: image for path, (image, _) in columns.items()}, labels, limits)
    if any(row is not None and len(row) != 1 for rows in labels.values() for row in rows):
        write_label_list(into, packed.write(into, None))
        return
    folders = folder_names(dict.fromkeys(row[0] for rows in labels.values() for row in rows if row))
    for _ in packed.write(into, folders):
        pass


@dataclass(frozen=True)
class _PackedImages:
    """Encoded images in tables.

    Attributes
    ----------
    roles, columns, labels : split, column of images, and labels by row, of each table
    """

    tables: Sequence[Path]
    roles: Mapping[Path, SplitRole | None]
    columns: Mapping[Path, str]
    labels: Mapping[Path, Sequence[Labels]]
    limits: ArchiveLimits

    def write(self, into: Path, folders: Mapping[str, str] | None) -> Iterator[tuple[str, tuple[str, ...], SplitRole | None]]:
        """Write each labelled image below `into`; yield its path there, its labels and its split.

        Parameters
        ----------
        folders : folder of each class, in the folder of the split; None for one folder of all images
        """
        written, numbers = 0, defaultdict[str, int](int)
        by_ratio = self.limits.unpacked_bytes(sum(path.stat().st_size for path in self.tables))
        for path in self.tables:
            role, column = self.roles[path], self.columns[path]
            for cells, labels in zip(parquet_rows(path, [column]), self.labels[path], strict=True):
                content, suffix = _encoded(cells[column])
                if content is None or labels is None or (folders is not None and not labels):
                    continue
                written += len(content)
                self._require_room(path, written, by_ratio, sum(numbers.values()) + 1)
                split = IMAGES if folders is None else role or ""
                numbers[split] += 1
                folder = PurePosixPath(split, "" if folders is None else folders[labels[0]])
                name = (folder / f"{numbers[split]:08d}{suffix}").as_posix()
                (into / folder).mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(content)
                yield name, labels, role

    def _require_room(self, path: Path, size_bytes: int, by_ratio: int, count: int) -> None:
        """Refuse more images, or bytes of images, than the limits of archives allow."""
        for found, allowed, what, code in (
            (count, self.limits.file_count, "images", "archive_too_large"),
            (size_bytes, self.limits.total_bytes, "bytes of images", "archive_too_large"),
            (size_bytes, by_ratio, "bytes of images, by the size of the file,", "archive_bomb"),
        ):
            if found > allowed:
                raise DataError(f"{path.name} holds more than the {allowed:,} {what} allowed.", code=code)


def _label_sets(columns: Mapping[Path, str]) -> dict[Path, list[Labels]]:
    """The labels of each row of the tables, from their columns of labels; text is split where a separator joins labels in all tables."""
    cells = {path: _named_labels(path, column) for path, column in columns.items()}
    together = Table("the Parquet files", {"label": [cell for rows in cells.values() for cell in rows]})
    known = dict[Labels, Labels]()  # one object for equal labels
    found = iter([known.setdefault(labels, labels) for labels in labels_of_column(together, "label")])
    return {path: list(islice(found, len(rows))) for path, rows in cells.items()}


def _named_labels(path: Path, column: str) -> list[Any]:
    """The cells of a column of labels: numbers by the class names of the Hub's metadata, in lists; None for withheld ones."""
    cells = [row[column] for row in parquet_rows(path, [column])]
    names = _hub_names(path, column)
    numbers = {number for cell in cells for number in (cast("list[object]", cell) if isinstance(cell, list) else [cell])} - {None, ""}
    if names is None or not all(isinstance(number, int) and number < len(names) for number in numbers):
        return cells

    def named(number: Any) -> str | None:
        return names[number] if number is not None and number >= 0 else None

    if any(isinstance(cell, list) for cell in cells):
        return [_named_list(cell, named) for cell in cells]
    return [None if (name := named(cell)) is None else [name] for cell in cells]


def _named_list(cell: list[Any] | None, named: Callable[[Any], str | None]) -> list[str] | None:
    """The names of a list of labels; None for a list without a known number, which is withheld and not an image without labels."""
    names = [name for number in cell or () if (name := named(number)) is not None]
    return None if cell is None or (cell and not names) else names


def _role(path: Path, root: Path) -> SplitRole | None:
    """The split that a file is named for, as in train-00000-of-00002.parquet, or one of its folders."""
    parts = (path.stem.split("-")[0], *reversed(path.relative_to(root).parts[:-1]))
    return next((split.role for part in parts if (split := parse_split_name(part)) is not None), None)


def _columns(path: Path) -> tuple[str, str]:
    image = _image_column(path)
    if image is None:
        columns = first_names(list(parquet_columns(path)), 20)
        raise DataError(f"{path.name} has no column of encoded images; it has {columns}.", code="table_invalid")
    import pyarrow.types as kinds

    def is_label(kind: Any) -> bool:
        return bool(kinds.is_integer(kind) or kinds.is_string(kind) or kinds.is_large_string(kind))

    plain = [
        name
        for name, kind in parquet_columns(path).items()
        if name != image and (is_label(kind) or ((kinds.is_list(kind) or kinds.is_large_list(kind)) and is_label(kind.value_type)))
    ]
    label = first_named(plain, LABEL_NAMES) or (plain[0] if len(plain) == 1 else None)
    if label is None:
        found = first_names(plain, 20) or "none"
        raise DataError(
            f"{path.name} has no column of labels; name one label. Columns of text, integers or lists of these: {found}.",
            code="table_invalid",
        )
    return image, label


def _image_column(path: Path) -> str | None:
    import pyarrow.types as kinds

    def holds_bytes(kind: Any) -> bool:
        return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))

    found = [
        name
        for name, kind in parquet_columns(path).items()
        if holds_bytes(kind) or (kinds.is_struct(kind) and any(kind.field(i).name == "bytes" for i in range(kind.num_fields)))
    ]
    return first_named(found, _IMAGE_COLUMNS) or (found[0] if len(found) == 1 else None)


def _hub_names(path: Path, column: str) -> list[str] | None:
    """The class names in the metadata that the Hub's library writes, also of a list of classes."""
    try:
        feature: Any = json.loads(parquet_metadata(path).get(b"huggingface", b"{}"))["info"]["features"][column]
        if isinstance(feature, list):
            feature = feature[0]
        names: Any = feature.get("feature", feature)["names"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return None
    listed = cast("list[object]", names) if isinstance(names, list) else []
    return [str(name) for name in listed] or None


def _encoded(cell: object) -> tuple[bytes | None, str]:
    """The bytes of an encoded image, and a suffix: its own, or one under which the decoder finds the format by itself."""
    name: object = None
    if isinstance(cell, dict):
        stored = cast("dict[str, object]", cell)
        cell, name = stored.get("bytes"), stored.get("path")
    suffix = PurePath(name).suffix.lower() if isinstance(name, str) else ""
    return (cell if isinstance(cell, bytes) else None), (suffix if suffix in SUFFIXES else ".png")
