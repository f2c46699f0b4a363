"""Unpack uploaded images: an archive, Parquet tables of encoded images inside it or alone, and WebDataset shards inside it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, cast

from iis_engine.data.archives import ArchiveLimits, unpack_archive
from iis_engine.data.folder_names import folder_names
from iis_engine.data.folder_tree import read_folder_tree
from iis_engine.data.images import SUFFIXES
from iis_engine.data.manifest_columns import LABEL_NAMES, first_named
from iis_engine.data.split_names import SplitRole, parse_split_name
from iis_engine.data.tables import parquet_columns, parquet_metadata, parquet_rows
from iis_engine.errors import DataError, first_names

_IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "png", "bytes", "image_bytes")
_PARQUET_MAGIC = b"PAR1"


def unpack_images(archive: Path, into: Path, limits: ArchiveLimits | None = None) -> None:
    """Unpack an archive, or a single Parquet file, into a new folder of image files.

    Parquet files with a column of encoded images are replaced by class folders; tar files inside the archive, such as WebDataset
    shards, by folders of their names.

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
        _write_tables([archive], into, archive.parent, limits.total_bytes)
        return
    remaining = limits.total_bytes - unpack_archive(archive, into, limits).size_bytes
    tree = read_folder_tree(into)
    files = [folder.path / name for folder in tree.walk() for name in folder.others]
    for shard in (path for path in files if path.suffix.lower() == ".tar"):
        remaining -= unpack_archive(shard, shard.with_suffix(""), replace(limits, total_bytes=remaining)).size_bytes
        shard.unlink()
    tables = _tables_of_images(path for path in files if path.suffix.lower() == ".parquet")
    if tables:
        _write_tables(tables, into, into, remaining)
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


def _write_tables(tables: Sequence[Path], into: Path, root: Path, allowed_bytes: int) -> None:
    """Write the images of tables as SPLIT/CLASS/…, or as CLASS/… where no table is named for a split."""
    roles = {path: _role(path, root) for path in tables}
    if None in roles.values() and len(set(roles.values())) > 1:
        names = first_names([path.name for path, role in roles.items() if role is None])
        raise DataError(f"Some Parquet files are named for a split and others are not: {names}; name each train, validation or test.")
    columns = {path: _columns(path) for path in tables}
    labels = {path: _class_names(path, columns[path][1]) for path in tables}
    folders = folder_names(dict.fromkeys(name for names in labels.values() for name in names.values()))
    written, numbers = 0, defaultdict[Path, int](int)
    for path in tables:
        image, label = columns[path]
        target = into if (role := roles[path]) is None else into / role
        for row in parquet_rows(path, [image, label]):
            content, suffix = _encoded(row[image])
            if content is None or row[label] not in labels[path]:
                continue
            folder = target / folders[labels[path][row[label]]]
            written += len(content)
            if written > allowed_bytes:
                raise DataError(f"{path.name} holds more than the {allowed_bytes:,} bytes of images allowed.", code="archive_too_large")
            folder.mkdir(parents=True, exist_ok=True)
            numbers[target] += 1
            (folder / f"{numbers[target]:08d}{suffix}").write_bytes(content)


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

    plain = [
        name
        for name, kind in parquet_columns(path).items()
        if name != image and (kinds.is_integer(kind) or kinds.is_string(kind) or kinds.is_large_string(kind))
    ]
    label = first_named(plain, LABEL_NAMES) or (plain[0] if len(plain) == 1 else None)
    if label is None:
        found = first_names(plain, 20) or "none"
        raise DataError(f"{path.name} has no column of labels; name one label. Columns of text or integers: {found}.", code="table_invalid")
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


def _class_names(path: Path, column: str) -> dict[Any, str]:
    """Map stored labels to class names: those in the metadata that the Hub's library writes, else the labels as text."""
    stored = {row[column] for row in parquet_rows(path, [column])} - {None, ""}
    names = _hub_names(path, column)
    if names is not None and all(isinstance(label, int) and label < len(names) for label in stored):
        return {label: names[label] for label in stored if label >= 0}
    return {label: str(label) for label in stored}


def _hub_names(path: Path, column: str) -> list[str] | None:
    try:
        features: Any = json.loads(parquet_metadata(path).get(b"huggingface", b"{}"))["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    names = cast("list[object]", features) if isinstance(features, list) else []
    return [str(name) for name in names] or None


def _encoded(cell: object) -> tuple[bytes | None, str]:
    """The bytes of an encoded image, and a suffix: its own, or one under which the decoder finds the format by itself."""
    name: object = None
    if isinstance(cell, dict):
        stored = cast("dict[str, object]", cell)
        cell, name = stored.get("bytes"), stored.get("path")
    suffix = PurePath(name).suffix.lower() if isinstance(name, str) else ""
    return (cell if isinstance(cell, bytes) else None), (suffix if suffix in SUFFIXES else ".png")
