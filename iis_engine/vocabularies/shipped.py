"""Vocabularies shipped with the package, one text file each, and `broad`, which joins them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.cleaning import clean
from iis_engine.vocabularies.parsing import parse_txt
from iis_engine.vocabularies.phrases import Phrase

BROAD = "broad"
"""Name of the vocabulary that joins all others."""

_FOLDER = resources.files("iis_engine") / "vocabularies"


@dataclass(frozen=True)
class Vocabulary:
    """A named list of phrases with a description of one sentence."""

    name: str
    description: str
    phrases: tuple[Phrase, ...]


def shipped_names() -> tuple[str, ...]:
    """Return the names of all shipped vocabularies: `broad`, then the others in alphabetical order."""
    return (BROAD, *sorted(file.name.removesuffix(".txt") for file in _FOLDER.iterdir() if file.name.endswith(".txt")))


@cache
def shipped(name: str) -> Vocabulary:
    """Return a shipped vocabulary; `broad` joins all of them, each phrase once.

    Raises
    ------
    LibraryError
        With the code `vocabulary_unknown` for another name.
    """
    names = shipped_names()
    if name not in names:
        raise LibraryError(
            f"{name!r} is not a shipped vocabulary; choose one of {', '.join(names)}.", code="vocabulary_unknown", param="vocabulary"
        )
    if name == BROAD:
        kept, _ = clean(phrase for other in names if other != BROAD for phrase in shipped(other).phrases)
        return Vocabulary(BROAD, "Everything shipped: the phrases of all other vocabularies, each of them once.", kept)
    data = (_FOLDER / f"{name}.txt").read_bytes()
    return Vocabulary(name, data.decode().partition("\n")[0].removeprefix("# "), parse_txt(data))
