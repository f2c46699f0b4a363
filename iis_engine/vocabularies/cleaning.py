"""Drop phrases that cannot be concepts: too long, a class name, or a repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from iis_engine.vocabularies.normalisation import contained_keys, phrase_key
from iis_engine.vocabularies.phrases import Phrase

CONCEPT_CHARACTERS_MAX = 60
_FOLDER_NUMBER = re.compile(r"^\s*(?:n\d{8}[_ -]+|\d+(?:\.(?!\d)|[_-]+(?=[^\W\d])))")
"""Number before a class name, as in 001.Black_footed_Albatross, 01_daisy and ImageNet's n01443537_goldfish."""


@dataclass(frozen=True)
class DroppedPhrase:
    """A phrase dropped by `clean`.

    Attributes
    ----------
    other : the kept phrase or the class name that it matches; None if it is too long
    """

    text: str
    reason: Literal["too_long", "class_name", "repeated"]
    other: str | None = None


def clean(phrases: Iterable[Phrase], class_names: Iterable[str] = ()) -> tuple[tuple[Phrase, ...], tuple[DroppedPhrase, ...]]:
    """Return the kept phrases and the dropped ones; see `clean_indices`."""
    candidates = tuple(phrases)
    indices, dropped = clean_indices(candidates, class_names)
    return tuple(candidates[index] for index in indices), dropped


def clean_indices(phrases: Iterable[Phrase], class_names: Iterable[str] = ()) -> tuple[list[int], tuple[DroppedPhrase, ...]]:
    """Return the indices of the kept phrases, and the dropped phrases.

    Dropped are phrases longer than `CONCEPT_CHARACTERS_MAX`, phrases that contain a class name as whole words, and repetitions of a
    kept phrase. The comparison ignores case, spacing, articles and plurals.

    Parameters
    ----------
    class_names : names, of which each synonym between commas counts

    References
    ----------
    Oikarinen et al., Label-free Concept Bottleneck Models, ICLR 2023, section 3, filters likewise with a limit of 30 characters.
    """
    class_of_key = {
        phrase_key(_FOLDER_NUMBER.sub("", synonym)): name for name in class_names for synonym in name.split(",") if synonym.strip()
    }
    kept: dict[str, str] = {}
    indices: list[int] = []
    dropped: list[DroppedPhrase] = []
    for index, phrase in enumerate(phrases):
        if len(phrase.text) > CONCEPT_CHARACTERS_MAX:
            dropped.append(DroppedPhrase(phrase.text, "too_long"))
            continue
        keys = contained_keys(phrase.text) if class_of_key else [phrase_key(phrase.text)]
        if (class_key := next(filter(class_of_key.__contains__, keys), None)) is not None:
            dropped.append(DroppedPhrase(phrase.text, "class_name", class_of_key[class_key]))
        elif keys[0] in kept:
            dropped.append(DroppedPhrase(phrase.text, "repeated", kept[keys[0]]))
        else:
            kept[keys[0]] = phrase.text
            indices.append(index)
    return indices, tuple(dropped)


def plain_class_name(name: str) -> str:
    """Return the first synonym of a class name, without folder number and underscores.

    Examples
    --------
    >>> [plain_class_name(name) for name in ("001.Black_footed_Albatross", "n01443537_goldfish", "tench, Tinca tinca", "3")]
    ['Black footed Albatross', 'goldfish', 'tench', '3']
    """
    first = next((synonym for synonym in name.split(",") if synonym.strip()), name)
    return " ".join(_FOLDER_NUMBER.sub("", first).replace("_", " ").split()) or name
