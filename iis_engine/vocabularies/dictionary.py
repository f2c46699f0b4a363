"""Dictionary of visible things: the 21,844 nouns of WordNet 3.0 that have pictures in ImageNet, with WordNet's definitions.

The entries come with timm and are read as files, without importing timm.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.normalisation import phrase_key


class Entry(NamedTuple):
    """A noun's names, separated by commas, the usual one first, and its definition."""

    names: str
    definition: str


@cache
def dictionary() -> dict[str, tuple[Entry, ...]]:
    """Return all entries by the key of each name and by WordNet's number, such as `n02058221`.

    Raises
    ------
    LibraryError
        If timm is not installed.
    """
    definitions = dict(_table("imagenet_synset_to_definition.txt"))
    entries = dict[str, list[Entry]]()
    for number, names in _table("imagenet_synset_to_lemma.txt"):
        for key in dict.fromkeys((number, *(phrase_key(name) for name in names.split(",")))):
            entries.setdefault(key, []).append(Entry(names, definitions[number]))
    return {key: tuple(found) for key, found in entries.items()}


def _table(file_name: str) -> list[tuple[str, str]]:
    package = find_spec("timm")
    if package is None or package.origin is None:
        raise LibraryError(
            "The dictionary comes with timm, which is not installed on this machine; choose a shipped vocabulary or send phrases.",
            code="dictionary_missing",
            param="from_classes",
        )
    with (Path(package.origin).parent / "data" / "_info" / file_name).open(encoding="utf-8", newline="") as file:
        return [(number, text) for number, text in csv.reader(file, delimiter="\t")]
