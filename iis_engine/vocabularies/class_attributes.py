"""Derive a vocabulary from class names: look the classes up in a dictionary and collect their attributes and kinds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from iis_engine.errors import LibraryError, first_names
from iis_engine.vocabularies.cleaning import DroppedPhrase, clean
from iis_engine.vocabularies.definitions import Definition, look_up
from iis_engine.vocabularies.phrases import Phrase

_FOLDER_NUMBER = re.compile(r"^\s*\d+\.(?!\d)")  # in 001.Black_footed_Albatross
_WORDNET_NUMBER = re.compile(r"^\s*(n\d{8})(?:[\s_]+|$)")  # in n01443537_goldfish
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # in ColtsFoot


def phrases_from_classes(class_names: Iterable[str]) -> tuple[tuple[Phrase, ...], tuple[DroppedPhrase, ...]]:
    """Return the attributes of the classes, their kinds one and two levels up, and the kinds' attributes, as phrases.

    Each class is looked up by its name, by each of its synonyms between commas, or else by the end of its name: a Laysan albatross as an
    albatross. All meanings of a name are used, since the images later show which phrases apply. Classes named by adjectives (striped),
    numbers or people's names yield nothing, and not every phrase is visible in an image.

    Parameters
    ----------
    class_names : names of class folders, such as `001.Black_footed_Albatross`, `n01443537_goldfish` or `robin, redbreast`

    Returns
    -------
    phrases : in the order of the classes, each in the group of the first class that has it, once
    dropped : phrases dropped by `cleaning.clean`, so that no kept phrase contains a class name

    Raises
    ------
    LibraryError
        With the code `classes_unknown` if no class is in the dictionary.
    """
    classes = list(dict.fromkeys(class_names))
    first_class: dict[str, str] = {}
    for name in classes:
        for text in (text for entry in _entries(name) for text in _attributes(entry)):
            first_class.setdefault(text, name)
    if not first_class:
        raise LibraryError(
            f"The dictionary has no entry for the classes {first_names(classes)}. "
            "Name the classes after visible things, such as albatross or fire engine, or choose a shipped vocabulary, such as shapes.",
            code="classes_unknown",
            param="from_classes",
        )
    return clean(
        (Phrase(text, name) for text, name in first_class.items()),
        [spelling for name in classes for spelling in (name, *_spellings(name))],
    )


def _entries(class_name: str) -> tuple[Definition, ...]:
    number = _WORDNET_NUMBER.match(class_name)
    return next(filter(None, map(look_up, (*([number[1]] if number else []), *_spellings(class_name), *_endings(class_name)))), ())


def _spellings(class_name: str) -> list[str]:
    """Return the synonyms without folder numbers, each unchanged and with spaces before inner capitals."""
    bare = _WORDNET_NUMBER.sub("", _FOLDER_NUMBER.sub("", class_name)).replace("_", " ")
    synonyms = [" ".join(synonym.split()) for synonym in bare.split(",") if synonym.strip()]
    return list(dict.fromkeys(spelling for synonym in synonyms for spelling in (synonym, _INNER_CAPITAL.sub(" ", synonym))))


def _endings(class_name: str) -> Iterator[str]:
    for spelling in _spellings(class_name):
        words = _INNER_CAPITAL.sub(" ", spelling).split()
        yield from (" ".join(words[start:]) for start in range(1, len(words)))


def _attributes(entry: Definition) -> Iterator[str]:
    """Yield the thing's attributes, its kind, the kind's attributes and the kind's kind."""
    yield from entry.attributes
    if entry.kind is not None:
        yield entry.kind
        for kind in look_up(entry.kind)[:1]:  # the first meaning is the broadest: a plant that grows, not a factory
            yield from kind.attributes
            if kind.kind is not None:
                yield kind.kind
