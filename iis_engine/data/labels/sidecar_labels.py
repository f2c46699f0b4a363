"""Read labels of a WebDataset: KEY.jpg beside KEY.cls, or beside KEY.json with a label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast
from unicodedata import normalize

from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.folders.split_names import parse_split_name
from iis_engine.data.labels.manifest_columns import LABEL_NAMES, ManifestColumns, first_named
from iis_engine.data.labels.manifests import Manifest
from iis_engine.data.labels.tables import Table

_LABELLED_SHARE = 0.9
_SIDECAR_BYTES_MAX = 1 << 20


def find_sidecar_labels(tree: Folder) -> Manifest | None:
    """Return the labels beside images as a manifest; None if fewer than nine tenths of the images have one.

    The split is that for which the nearest folder, a shard, is named.
    """
    paths, labels, splits = list[str](), list[str](), list[str | None]()
    for folder in tree.walk():
        relative = normalize("NFC", folder.path.relative_to(tree.path).as_posix())
        named = next((split for part in reversed(relative.split("/")) if (split := parse_split_name(part)) is not None), None)
        others = frozenset(folder.others)
        for image in folder.images:
            label = _label(folder.path, image.split(".")[0], others)
            if label is not None:
                paths.append(image if relative == "." else f"{relative}/{image}")
                labels.append(label)
                splits.append(None if named is None else named.role)
    if not paths or len(paths) < _LABELLED_SHARE * tree.image_count:
        return None
    table = Table("the .cls or .json files beside the images", {"path": paths, "label": labels, "split": splits})
    return Manifest(table, ManifestColumns("path", "label", "split"), "", None)


def _label(folder: Path, key: str, others: frozenset[str]) -> str | None:
    if f"{key}.cls" in others:
        return _read(folder / f"{key}.cls").strip() or None
    return _json_label(folder / f"{key}.json") if f"{key}.json" in others else None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_SIDECAR_BYTES_MAX).decode("utf-8", "replace")


def _json_label(path: Path) -> str | None:
    try:
        content: object = json.loads(_read(path))
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    values = cast("dict[str, object]", content)
    name = first_named(list(values), ("class_name", "label_name", *LABEL_NAMES))
    value = None if name is None else values[name]
    return str(value) if isinstance(value, (str, int)) else None
