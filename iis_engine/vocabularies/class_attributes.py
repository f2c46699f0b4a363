"""A vocabulary for a data set, gathered from what a dictionary says of its classes. Reading definitions is done in definitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.definitions import Definition, look_up
from iis_engine.vocabularies.phrases import DroppedPhrase, Phrase, clean

_FOLDER_NUMBER = re.compile(r"^\s*\d+\.(?!\d)")  # as in 001.Black_footed_Albatross
_WORDNET_NUMBER = re.compile(r"^\s*(n\d{8})(?:[\s_]+|$)")  # as in n01443537_goldfish
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # as in ColtsFoot
_NAMED_AT_MOST = 5


def phrases_from_classes(class_names: Iterable[str]) -> tuple[tuple[Phrase, ...], tuple[DroppedPhrase, ...]]:
    """Gather attributes of the classes: what they look like, what they have, and what kind of thing they are, one and two levels up.

    Each class is looked up by its name, by each of its synonyms between commas, or else by the end of its name: a Laysan albatross is
    looked up as an albatross. Of a name with several meanings all are taken, since the pictures tell later which phrases are true of
    them. What is said of the kind is taken too: a daisy is a plant. Adjectives (striped, dotted), numbers and people's names are no
    things, so classes named by them yield nothing; and the definitions are a biologist's or a maker's, so not each phrase can be seen.

    Parameters
    ----------
    class_names : as folders give them, as `001.Black_footed_Albatross`, `n01443537_goldfish` or `robin, redbreast`.

    Returns
    -------
    Phrases in the order of the classes, each in the group of the first class that has it, and what `vocabulary.clean` drops of them, so
    that none that is kept contains the name of a class. A phrase that several definitions have in the same words is one phrase.

    Raises
    ------
    LibraryError
        If nothing is found for any class.
    """
    classes = list(dict.fromkeys(class_names))
    first_class: dict[str, str] = {}
    for name in classes:
        for text in (text for entry in _entries(name) for text in _said(entry)):
            first_class.setdefault(text, name)
    if not first_class:
        named = ", ".join([*classes[:_NAMED_AT_MOST], *(["…"] if len(classes) > _NAMED_AT_MOST else [])])
        raise LibraryError(
            f"The dictionary says nothing of the classes {named}. "
            "Name the classes by things that can be seen, as albatross or fire engine, or choose a shipped vocabulary, as shapes.",
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
    """The synonyms without numbers of folders, each as it stands and with spaces before its capitals."""
    bare = _WORDNET_NUMBER.sub("", _FOLDER_NUMBER.sub("", class_name)).replace("_", " ")
    synonyms = [" ".join(synonym.split()) for synonym in bare.split(",") if synonym.strip()]
    return list(dict.fromkeys(spelling for synonym in synonyms for spelling in (synonym, _INNER_CAPITAL.sub(" ", synonym))))


def _endings(class_name: str) -> Iterator[str]:
    for spelling in _spellings(class_name):
        words = _INNER_CAPITAL.sub(" ", spelling).split()
        yield from (" ".join(words[start:]) for start in range(1, len(words)))


def _said(entry: Definition) -> Iterator[str]:
    """The thing's attributes, its kind and the kind's attributes, and the kind's kind."""
    yield from entry.attributes
    if entry.kind is not None:
        yield entry.kind
        for kind in look_up(entry.kind)[:1]:  # the first meaning is the oldest and broadest: a plant that grows, not one that makes cars
            yield from kind.attributes
            if kind.kind is not None:
                yield kind.kind
