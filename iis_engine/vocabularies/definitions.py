"""Read a thing's kind and attributes from its dictionary definition.

WordNet's own lists of kinds and parts do not come with timm, so both are parsed from the definitions: "an aircraft that has a fixed wing"
has the kind aircraft and the attribute fixed wing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest

from iis_engine.vocabularies.dictionary import dictionary
from iis_engine.vocabularies.normalisation import phrase_key, singular

_PHRASE_WORDS_MAX = 5
_COLOURS = frozenset(
    (
        *("black", "white", "grey", "gray", "brown", "red", "orange", "yellow", "green", "blue", "purple", "pink", "violet"),
        *("cream", "tan", "golden"),
    )
)
_UNINFORMATIVE_NOUNS = frozenset(
    ("one", "someone", "something", "anything", "genus", "family", "order", "person", "people", "thing", "part", "way", "unit")
)
_NOT_FIRST_WORDS = frozenset(
    ("is", "are", "was", "been", "can", "may", "has", "have", "having", "not", "of", "respect", "reference", "other", "regard")
)
_NOT_LAST_WORDS = frozenset(("of", "or", "and", "the", "a", "an", "very", "more", "less", "much"))


def _one_of(*lines: str) -> str:
    """Return a pattern for one of the words as a whole; "and" does not match in "black-and-white"."""
    return rf"(?<![\w-])(?:{'|'.join(' '.join(lines).split())})(?![\w-])"


_ADVERBS = r"(?:usually|often|sometimes|mostly|typically|generally)\s+"
_ASIDES = re.compile(rf"\s*\((?!(?:{_ADVERBS})?(?:with|having)\b)[^)]*\)|[()]|\b{_ADVERBS}")
_KIND_BOUNDARY = _one_of(
    "of from in on at to into by for with without having bearing whose that which who where when used found known native noted",
    "valued resembling related similar larger smaller consisting containing made making grown cultivated kept worn carried built",
    "equipped designed intended suitable characterized especially including like as so but formerly is are has have can may being",
    "served cooked producing covered attached held set located situated living feeding growing ranging closely over under between",
    "about among through along during against within near before after since occurring yielding forming common seen domesticated",
)
_PART_BOUNDARY = _one_of(
    "that which who whose where when used especially resembling arranged for in on at from to into by as so but is are was can may",
    "than like found native noted similar containing being while during over under between through around among worn grown",
    "cultivated modified inhabiting occurring borne attached set fitted followed preceded surrounded ranging varying originating",
    "ending differing including about toward towards along such without if because after before made bent spread",
)
_QUANTIFIERS = (
    r"(?:(?:any|one|either|each|some|several|all|two|three|both)\s+of\s+)?(?:(?:a|an|the|any|some|one|either|each|all)\s+)?"
    r"(?:(?:numerous|various|several|many|certain|different|other|two|three|four|few|couple|chiefly|relatively|very|rather|especially|"
    r"largest|most)\s+(?:of\s+(?:the\s+)?)?)*"
)
_KINDS_OF = (
    rf"(?:(?:(?!{_KIND_BOUNDARY})[\w-]+\s+){{0,3}}(?:kinds?|types?|variety|varieties|forms?|sorts?|species|breeds?|strains?|pieces?|"
    r"pairs?|sets?|members?|groups?|genus|genera|family|class)\s+of\s+(?:the\s+)?)?"
)
_LEADING = re.compile(f"^{_QUANTIFIERS}{_KINDS_OF}{_QUANTIFIERS}")
_AFTER_A_KIND = re.compile(rf"\s*(?:[,:]|{_KIND_BOUNDARY}).*$")
_AFTER_A_PART = re.compile(rf"\s*(?:[;:]|{_PART_BOUNDARY}).*$")
_HAS = re.compile(
    rf"(?:{_one_of('having bearing with has have')}|"
    r"\b(?:characterized by|covered by|composed of|consists of|consisting of|made of|made from))\s+"
)
_EITHER = re.compile(r"\s+(?:and|or)\s+")
_BETWEEN_PARTS = re.compile(rf"\s*(?:,\s*|{_one_of('and or with')})+\s*")
_ARTICLES = re.compile(r"^(?:(?:a|an|the|its|their|his|her|one|no|very|more|less|either|both|some|many|numerous|several)\s+)+")


@dataclass(frozen=True)
class Definition:
    """A parsed dictionary entry.

    Attributes
    ----------
    names : names of the thing, the usual one first
    kind : first noun of the definition, such as "bird"; None if it is not in the dictionary
    attributes : phrases: the kind with its adjectives, then the thing's parts and properties
    """

    names: tuple[str, ...]
    kind: str | None
    attributes: tuple[str, ...]


def look_up(name: str) -> tuple[Definition, ...]:
    """Return the definitions of a name, ignoring case, hyphens and plurals, or of a WordNet number such as `n02058221`.

    If the name is the usual name of some things, things with it as a secondary name are left out.

    Raises
    ------
    LibraryError
        If timm is not installed.
    """
    key = phrase_key(name)
    found = [read_definition(names, text) for names, text in dictionary().get(key, ())]
    return tuple(entry for entry in found if phrase_key(entry.names[0]) == key) or tuple(found)


def read_definition(names: str, text: str) -> Definition:
    """Parse a definition in WordNet's wording.

    Parameters
    ----------
    names : names of the thing, separated by commas

    Examples
    --------
    >>> read_definition("albatross", "large web-footed birds of the southern hemisphere having long narrow wings; noted for gliding flight")
    Definition(names=('albatross',), kind='bird', attributes=('large web-footed bird', 'long narrow wings'))
    """
    plain = _ASIDES.sub("", text)
    described = _described_kind(plain.partition(";")[0])
    kind = described.rpartition(" ")[2]
    described_kinds = [described] if described != kind and len(described.split()) <= _PHRASE_WORDS_MAX else []
    parts = [part for clause in plain.split(";") for part in _parts(clause)]
    return Definition(tuple(name.strip() for name in names.split(",")), kind or None, tuple(dict.fromkeys([*described_kinds, *parts])))


def _described_kind(clause: str) -> str:
    """Return the first noun of a definition with the adjectives before it; an empty string if the noun is not in the dictionary."""
    opening = _without_trailing_words(_AFTER_A_KIND.sub("", _LEADING.sub("", clause.strip())))
    first, *others = _EITHER.split(opening)
    if others and " " not in others[-1]:  # "a ball or bag", but "a wooden or metal staff"
        opening = _without_trailing_words(first)
    words = opening.split()
    if not words or (kind := singular(words[-1])) in _UNINFORMATIVE_NOUNS or phrase_key(kind) not in dictionary():
        return ""
    return " ".join([*words[:-1], kind])


def _parts(clause: str) -> list[str]:
    """Return the parts and properties of the thing: "showy yellow or white rays and a tail" is three phrases."""
    parts = list[str]()
    for match in _HAS.finditer(clause):
        listed = _AFTER_A_PART.sub("", _HAS.split(clause[match.end() :])[0])
        pieces = [_without_trailing_words(_ARTICLES.sub("", piece)) for piece in _BETWEEN_PARTS.split(listed)]
        for piece, following in zip_longest(pieces, pieces[1:], fillvalue=""):
            # The noun of "white or purple rays" and of "black and white markings" belongs to both colours.
            is_colour = phrase_key(piece) in _COLOURS or piece.endswith("ish")
            parts.append(f"{piece} {following.rpartition(' ')[2]}" if is_colour and " " in following else piece)
    return [part for part in parts if _is_phrase(part)]


def _without_trailing_words(phrase: str) -> str:
    """Remove final words that belong to the next clause: "a game played", "dogs originally", "bars tuned"."""
    words = phrase.split()
    while words and (words[-1] in _NOT_LAST_WORDS or (words[-1].endswith(("ed", "ly")) and phrase_key(words[-1]) not in dictionary())):
        words.pop()
    return " ".join(words)


def _is_phrase(part: str) -> bool:
    words = part.split()
    if not 1 <= len(words) <= _PHRASE_WORDS_MAX or words[0] in _NOT_FIRST_WORDS or singular(words[-1]) in _UNINFORMATIVE_NOUNS:
        return False
    return len(words[-1]) > 2 and not any(word.isdigit() for word in words)
