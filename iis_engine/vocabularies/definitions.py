"""A dictionary of things that can be seen, and what its definitions say of them. Which classes are looked up is decided in from_classes.

The entries are the 21,844 nouns of WordNet 3.0 that have pictures in ImageNet, with WordNet's own definitions. They come with timm, and
are read as files: nothing of timm's code has to be imported to look words up.
WordNet's lists of kinds and of parts do not, so a thing's kind and what it has are read from the definitions: "an aircraft that has a
fixed wing" is an aircraft, and has a fixed wing.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import zip_longest
from pathlib import Path

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.normalisation import key, singular

_WORDS_AT_MOST = 5
_COLOURS = frozenset(
    (
        "black",
        "white",
        "grey",
        "gray",
        "brown",
        "red",
        "orange",
        "yellow",
        "green",
        "blue",
        "purple",
        "pink",
        "violet",
        "cream",
        "tan",
        "golden",
    )
)
_SAYS_NOTHING = frozenset(
    ("one", "someone", "something", "anything", "genus", "family", "order", "person", "people", "thing", "part", "way", "unit")
)
_NO_START = frozenset(
    ("is", "are", "was", "been", "can", "may", "has", "have", "having", "not", "of", "respect", "reference", "other", "regard")
)
_NO_END = frozenset(("of", "or", "and", "the", "a", "an", "very", "more", "less", "much"))


def _one_of(*lines: str) -> str:
    """A pattern for one of the words, whole: "and" is none of the words of "black-and-white"."""
    return rf"(?<![\w-])(?:{'|'.join(' '.join(lines).split())})(?![\w-])"


_ADVERBS = r"(?:usually|often|sometimes|mostly|typically|generally)\s+"
_ASIDES = re.compile(rf"\s*\((?!(?:{_ADVERBS})?(?:with|having)\b)[^)]*\)|[()]|\b{_ADVERBS}")
_SAID_OF_A_KIND = _one_of(
    "of from in on at to into by for with without having bearing whose that which who where when used found known native noted",
    "valued resembling related similar larger smaller consisting containing made making grown cultivated kept worn carried built",
    "equipped designed intended suitable characterized especially including like as so but formerly is are has have can may being",
    "served cooked producing covered attached held set located situated living feeding growing ranging closely over under between",
    "about among through along during against within near before after since occurring yielding forming common seen domesticated",
)
_SAID_OF_A_PART = _one_of(
    "that which who whose where when used especially resembling arranged for in on at from to into by as so but is are was can may",
    "than like found native noted similar containing being while during over under between through around among worn grown",
    "cultivated modified inhabiting occurring borne attached set fitted followed preceded surrounded ranging varying originating",
    "ending differing including about toward towards along such without if because after before made bent spread",
)
_SOME = (
    r"(?:(?:any|one|either|each|some|several|all|two|three|both)\s+of\s+)?(?:(?:a|an|the|any|some|one|either|each|all)\s+)?"
    r"(?:(?:numerous|various|several|many|certain|different|other|two|three|four|few|couple|chiefly|relatively|very|rather|especially|"
    r"largest|most)\s+(?:of\s+(?:the\s+)?)?)*"
)
_KINDS_OF = (
    rf"(?:(?:(?!{_SAID_OF_A_KIND})[\w-]+\s+){{0,3}}(?:kinds?|types?|variety|varieties|forms?|sorts?|species|breeds?|strains?|pieces?|"
    r"pairs?|sets?|members?|groups?|genus|genera|family|class)\s+of\s+(?:the\s+)?)?"
)
_LEADING = re.compile(f"^{_SOME}{_KINDS_OF}{_SOME}")
_AFTER_A_KIND = re.compile(rf"\s*(?:[,:]|{_SAID_OF_A_KIND}).*$")
_AFTER_A_PART = re.compile(rf"\s*(?:[;:]|{_SAID_OF_A_PART}).*$")
_HAS = re.compile(
    rf"(?:{_one_of('having bearing with has have')}|"
    r"\b(?:characterized by|covered by|composed of|consists of|consisting of|made of|made from))\s+"
)
_EITHER = re.compile(r"\s+(?:and|or)\s+")
_BETWEEN_PARTS = re.compile(rf"\s*(?:,\s*|{_one_of('and or with')})+\s*")
_ARTICLES = re.compile(r"^(?:(?:a|an|the|its|their|his|her|one|no|very|more|less|either|both|some|many|numerous|several)\s+)+")


@dataclass(frozen=True)
class Definition:
    """What is said of a thing.

    Attributes
    ----------
    names : what the thing is called, the usual name first
    kind : the noun that the definition opens with, as "bird"; None where that is no thing of the dictionary
    attributes : phrases: the kind as it is described, then what the thing has
    """

    names: tuple[str, ...]
    kind: str | None
    attributes: tuple[str, ...]


def look_up(name: str) -> tuple[Definition, ...]:
    """The definitions under a name, whatever its case, hyphens and plural, or under a number of WordNet's, as `n02058221`.

    Where the name is the usual one of some things and a rare one of others, the others are left out.

    Raises
    ------
    LibraryError
        Where timm is not installed.
    """
    found = [read_definition(names, text) for names, text in _entries().get(key(name), ())]
    return tuple(entry for entry in found if key(entry.names[0]) == key(name)) or tuple(found)


def read_definition(names: str, text: str) -> Definition:
    """Read a definition as WordNet words it.

    Examples
    --------
    >>> read_definition("albatross", "large web-footed birds of the southern hemisphere having long narrow wings; noted for gliding flight")
    Definition(names=('albatross',), kind='bird', attributes=('large web-footed bird', 'long narrow wings'))
    """
    plain = _ASIDES.sub("", text)
    described = _described_kind(plain.partition(";")[0])
    kind = described.rpartition(" ")[2]
    told = [described] if described != kind and len(described.split()) <= _WORDS_AT_MOST else []
    parts = [part for clause in plain.split(";") for part in _parts(clause)]
    return Definition(tuple(name.strip() for name in names.split(",")), kind or None, tuple(dict.fromkeys([*told, *parts])))


@cache
def _entries() -> dict[str, tuple[tuple[str, str], ...]]:
    """The names and the text of every definition, by the key of each name and by WordNet's own number."""
    texts = dict(_table("imagenet_synset_to_definition.txt"))
    entries = dict[str, list[tuple[str, str]]]()
    for number, names in _table("imagenet_synset_to_lemma.txt"):
        for one in dict.fromkeys((number, *(key(name) for name in names.split(",")))):
            entries.setdefault(one, []).append((names, texts[number]))
    return {one: tuple(found) for one, found in entries.items()}


def _table(file_name: str) -> list[tuple[str, str]]:
    package = find_spec("timm")
    if package is None or package.origin is None:
        raise LibraryError(
            "The dictionary of things is missing on this machine: it comes with timm, which is not installed here.",
            code="dictionary_missing",
            param="from_classes",
        )
    with (Path(package.origin).parent / "data" / "_info" / file_name).open(encoding="utf-8", newline="") as file:
        return [(number, said) for number, said in csv.reader(file, delimiter="\t")]


def _described_kind(clause: str) -> str:
    """The noun that a definition opens with and the adjectives before it; nothing where the noun is none of the dictionary's."""
    opening = _without_ending(_AFTER_A_KIND.sub("", _LEADING.sub("", clause.strip())))
    first, *others = _EITHER.split(opening)
    if others and " " not in others[-1]:  # "a ball or bag", but "a wooden or metal staff"
        opening = _without_ending(first)
    words = opening.split()
    if not words or (kind := singular(words[-1])) in _SAYS_NOTHING or key(kind) not in _entries():
        return ""
    return " ".join([*words[:-1], kind])


def _parts(clause: str) -> list[str]:
    """What the thing has: "showy yellow or white rays and a tail" is three phrases."""
    parts = list[str]()
    for match in _HAS.finditer(clause):
        listed = _AFTER_A_PART.sub("", _HAS.split(clause[match.end() :])[0])
        pieces = [_without_ending(_ARTICLES.sub("", piece)) for piece in _BETWEEN_PARTS.split(listed)]
        for piece, following in zip_longest(pieces, pieces[1:], fillvalue=""):
            # The noun of "white or purple rays" and of "black and white markings" belongs to both colours.
            is_colour = key(piece) in _COLOURS or piece.endswith("ish")
            parts.append(f"{piece} {following.rpartition(' ')[2]}" if is_colour and " " in following else piece)
    return [part for part in parts if _is_phrase(part)]


def _without_ending(phrase: str) -> str:
    """Without what belongs to the words after it: "a game played", "dogs originally", "bars tuned"."""
    words = phrase.split()
    while words and (words[-1] in _NO_END or (words[-1].endswith(("ed", "ly")) and key(words[-1]) not in _entries())):
        words.pop()
    return " ".join(words)


def _is_phrase(part: str) -> bool:
    words = part.split()
    if not 1 <= len(words) <= _WORDS_AT_MOST or words[0] in _NO_START or singular(words[-1]) in _SAYS_NOTHING:
        return False
    return len(words[-1]) > 2 and not any(word.isdigit() for word in words)
