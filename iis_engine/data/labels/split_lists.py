"""Read lists of images beside them: train.txt and test.txt of food-101 or Oxford pets, CUB's images.txt, Tiny ImageNet's annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from unicodedata import normalize

from iis_engine.data.folders.folder_tree import Folder
from iis_engine.data.folders.split_names import SplitRole, parse_split_name
from iis_engine.data.labels.image_index import ImageIndex
from iis_engine.data.labels.manifest_columns import ManifestColumns
from iis_engine.data.labels.manifests import Manifest
from iis_engine.data.labels.tables import Table

_LINES_MAX = 5_000_000
_SAMPLE_LINES = 200
_MATCHED_SHARE = 0.9
_LIST_WORDS = frozenset(("annotations", "annotation", "list", "labels", "label", "gt", "ground", "truth", "map"))
_COLUMNS = ManifestColumns("path", "label", "split")


class _Line(NamedTuple):
    path: str
    label: str | None


def find_split_lists(tree: Folder, index: ImageIndex) -> list[Manifest]:
    """Return the lists of images with their labels as manifests: one for each split, or CUB's one for both."""
    found = list[Manifest]()
    for folder in tree.walk():
        if {"images.txt", "train_test_split.txt"} <= set(folder.others):
            return [_read_cub(folder, tree)]
        for name in folder.others:
            named = parse_split_name(Path(name).stem) if Path(name).suffix.lower() in (".txt", ".lst") else None
            if named is not None and set(named.rest) <= _LIST_WORDS and (manifest := _read_list(folder, name, named.role, tree, index)):
                found.append(manifest)
    return _with_label_names(found)


def _read_list(folder: Folder, name: str, role: SplitRole, tree: Folder, index: ImageIndex) -> Manifest | None:
    """Read lines `path` or `path label …`; None if the lines do not name images, or give no labels for them."""
    inside = _relative(folder, tree)
    lines = list(_lines(folder.path / name))
    split_lines = [_Line(line, None) if index.find(line, inside) is not None else _first_two(line) for line in lines]
    sample = split_lines[:_SAMPLE_LINES]
    if not sample or sum(index.find(line.path, inside) is not None for line in sample) < _MATCHED_SHARE * len(sample):
        return None
    labels = [line.label if line.label is not None else _parent_name(line.path) for line in split_lines]
    if None in labels:
        return None
    cells = {"path": [line.path for line in split_lines], "label": labels, "split": [role] * len(labels)}
    return Manifest(Table(name, cells), _COLUMNS, inside, role)


def _first_two(line: str) -> _Line:
    cells = re.split(r"[\t,;]" if re.search(r"[\t,;]", line) else r"\s+", line)
    return _Line(cells[0].strip(), cells[1].strip() or None if len(cells) > 1 else None)


def _parent_name(path: str) -> str | None:
    return PurePosixPath(path).parent.name or None


def _with_label_names(lists: list[Manifest]) -> list[Manifest]:
    """Take the text before an image's number as its class where it says the same as numeric labels: Abyssinian_12 is of Abyssinian."""
    named = list[Manifest]()
    pairs = set[tuple[str, str]]()
    for each in lists:
        prefixes = [re.sub(r"_\d+$", "", PurePosixPath(path).stem) for path in each.table.columns["path"]]
        pairs |= set(zip(each.table.columns["label"], prefixes, strict=True))
        named.append(Manifest(Table(each.table.name, {**each.table.columns, "label": prefixes}), each.columns, each.folder, each.role))
    labels, texts = {label for label, _ in pairs}, {text for _, text in pairs}
    return named if lists and len(pairs) == len(labels) == len(texts) and all(label.isdecimal() for label in labels) else lists


def _read_cub(folder: Folder, tree: Folder) -> Manifest:
    """CUB's lists: `number path`, and `number 1` for images of the training split."""
    paths = dict(_first_two(line) for line in _lines(folder.path / "images.txt"))
    trained = dict(_first_two(line) for line in _lines(folder.path / "train_test_split.txt"))
    listed = [(number, path) for number, path in paths.items() if path is not None and number in trained]
    cells = {
        "path": [f"images/{path}" for _, path in listed],
        "label": [_parent_name(path) for _, path in listed],
        "split": ["train" if trained[number] == "1" else "test" for number, _ in listed],
    }
    return Manifest(Table("train_test_split.txt", cells), _COLUMNS, _relative(folder, tree), None)


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file):
            if number < _LINES_MAX and (text := line.strip()) and not text.startswith("#"):
                yield text


def _relative(folder: Folder, tree: Folder) -> str:
    relative = normalize("NFC", folder.path.relative_to(tree.path).as_posix())
    return "" if relative == "." else relative
