"""Vocabularies: phrases that may serve as text concepts, shipped or uploaded, and which of them to drop. No model sees a phrase here."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, cast

from iis_engine.errors import LibraryError
from iis_engine.vocabularies.normalisation import key, keys

UPLOAD_PHRASES_MAX = 20_000
UPLOAD_CHARACTERS_MAX = 200
CONCEPT_CHARACTERS_MAX = 60
BROAD = "broad"  # the name of the vocabulary that joins all the others

_SHIPPED = resources.files("iis_engine") / "vocabularies"
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_FOLDER_NUMBER = re.compile(r"^\s*(?:n\d{8}[_ -]+|\d+(?:\.(?!\d)|[_-]+(?=[^\W\d])))")
"""As in 001.Black_footed_Albatross, 01_daisy and ImageNet's n01443537_goldfish."""
_EMPTY = "The vocabulary holds no phrases; send at least one."
_JSON_SHAPES = 'send a list of strings, a list of {"text", "group"} objects, or an object with a list of strings for each group'


@dataclass(frozen=True)
class Phrase:
    """A candidate concept, and the group its author put it in."""

    text: str
    group: str | None = None


@dataclass(frozen=True)
class Vocabulary:
    """Phrases under a name, with one sentence on what they cover."""

    name: str
    description: str
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class DroppedPhrase:
    """A phrase that `clean` left out. `other` is the kept phrase or the class name that it matches; None where it is too long."""

    text: str
    reason: Literal["too_long", "class_name", "repeated"]
    other: str | None = None


def shipped_names() -> tuple[str, ...]:
    """Names that `shipped` knows, in alphabetical order after `broad`."""
    return (BROAD, *sorted(file.name.removesuffix(".txt") for file in _SHIPPED.iterdir() if file.name.endswith(".txt")))


@cache
def shipped(name: str) -> Vocabulary:
    """A vocabulary that comes with the package; `broad` joins all of them, each phrase once. Other names raise a LibraryError."""
    names = shipped_names()
    if name not in names:
        raise _refusal(f"There is no shipped vocabulary {name!r}; choose one of {', '.join(names)}.", code="vocabulary_unknown")
    if name == BROAD:
        kept, _ = clean(phrase for other in names if other != BROAD for phrase in shipped(other).phrases)
        return Vocabulary(BROAD, "Everything shipped: the phrases of all other vocabularies, each of them once.", kept)
    data = (_SHIPPED / f"{name}.txt").read_bytes()
    return Vocabulary(name, data.decode().partition("\n")[0].removeprefix("# "), parse_txt(data))


def parse_txt(data: bytes) -> tuple[Phrase, ...]:
    """Read one phrase per line. `[name]` opens a group, `[]` closes it, lines that start with `# ` are remarks, blank lines mean nothing.

    Raises
    ------
    LibraryError
        For text that is not UTF-8, no phrases or more than 20,000, and a phrase over 200 characters. The sentence names the line.
    """

    def entries() -> Iterator[tuple[str, object, object]]:
        group = None
        for number, line in enumerate(io.StringIO(_decoded(data), newline=None), start=1):
            content = line.strip()
            if content.startswith("[") and content.endswith("]"):
                group, content = content[1:-1], ""
            if not content.startswith("# "):
                yield f"Line {number}", content, group

    return _collected(entries())


def parse_json(data: bytes) -> tuple[Phrase, ...]:
    """Read a list of strings, a list of {"text", "group"} objects, or an object {group: [strings]}.

    Refuses what `parse_txt` refuses, malformed JSON and other shapes, naming the line or the entry.
    """
    try:
        content = json.loads(_decoded(data))
    except (ValueError, RecursionError) as error:  # lists nested thousands deep exceed the recursion limit
        raise _refusal(f"The JSON is malformed ({error}); {_JSON_SHAPES}.") from error

    def entries() -> Iterator[tuple[str, object, object]]:
        groups = cast("dict[str | None, object]", content if isinstance(content, dict) else {None: content})
        for group, texts in groups.items():
            inside = "" if group is None else f" of group {group[:40]!r}"
            if not isinstance(texts, list):
                raise _refusal(f"The JSON{inside} is no list; {_JSON_SHAPES}.")
            for number, entry in enumerate(cast("list[object]", texts), start=1):
                fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {"text": entry}
                yield f"Entry {number}{inside}", fields.get("text"), fields.get("group", group)

    return _collected(entries())


def parse_csv(data: bytes) -> tuple[Phrase, ...]:
    """Read a CSV file whose header line names a column `phrase` or `text`, and perhaps `group`.

    Refuses what `parse_txt` refuses, malformed CSV, a missing column and rows longer than the header, naming the line.
    """
    reader = csv.reader(io.StringIO(_decoded(data), newline=""), strict=True)

    def entries() -> Iterator[tuple[str, object, object]]:
        columns = [cell.strip().casefold() for cell in next((row for row in reader if row), list[str]())]
        column = "phrase" if "phrase" in columns else "text"
        if column not in columns:
            found = ",".join(columns)[:80]
            raise _refusal(f"The CSV needs a header line with a column named phrase or text, between commas; it begins with {found!r}.")
        for row in reader:
            if any(cell.strip() for cell in row[len(columns) :]):
                raise _refusal(f"Line {reader.line_num} has more cells than the header; put quotes around a phrase that holds a comma.")
            cells = dict(zip(columns, row, strict=False))
            yield f"Line {reader.line_num}", cells.get(column, ""), cells.get("group")

    try:
        return _collected(entries())
    except csv.Error as error:
        raise _refusal(f"The CSV is malformed at line {reader.line_num} ({error}); save it again as comma-separated values.") from error


def clean(phrases: Iterable[Phrase], class_names: Iterable[str] = ()) -> tuple[tuple[Phrase, ...], tuple[DroppedPhrase, ...]]:
    """`clean_places` with the phrases that stay in place of where they stand."""
    given = tuple(phrases)
    places, dropped = clean_places(given, class_names)
    return tuple(given[place] for place in places), dropped


def clean_places(phrases: Iterable[Phrase], class_names: Iterable[str] = ()) -> tuple[list[int], tuple[DroppedPhrase, ...]]:
    """Leave out what makes no concept: long phrases, class names, and repetitions of a phrase kept before.

    Label-free CBM (Oikarinen et al., ICLR 2023, section 3) filters likewise, with a limit of 30 characters. Phrases are compared
    without regard to case, spacing, articles and plurals; a phrase that contains a class name as whole words gives the class away too.
    Where a class name lists synonyms with commas, each of them counts.
    """
    classes = {key(_FOLDER_NUMBER.sub("", synonym)): name for name in class_names for synonym in name.split(",") if synonym.strip()}
    kept: dict[str, str] = {}
    places: list[int] = []
    dropped: list[DroppedPhrase] = []
    for place, phrase in enumerate(phrases):
        if len(phrase.text) > CONCEPT_CHARACTERS_MAX:
            dropped.append(DroppedPhrase(phrase.text, "too_long"))
            continue
        said = keys(phrase.text) if classes else [key(phrase.text)]
        if (given := next(filter(classes.__contains__, said), None)) is not None:
            dropped.append(DroppedPhrase(phrase.text, "class_name", classes[given]))
        elif said[0] in kept:
            dropped.append(DroppedPhrase(phrase.text, "repeated", kept[said[0]]))
        else:
            kept[said[0]] = phrase.text
            places.append(place)
    return places, tuple(dropped)


def plain_class_name(name: str) -> str:
    """The first synonym of a class name as a person would write it.

    Examples
    --------
    >>> [plain_class_name(name) for name in ("001.Black_footed_Albatross", "n01443537_goldfish", "tench, Tinca tinca", "3")]
    ['Black footed Albatross', 'goldfish', 'tench', '3']
    """
    first = next((synonym for synonym in name.split(",") if synonym.strip()), name)
    return " ".join(_FOLDER_NUMBER.sub("", first).replace("_", " ").split()) or name


def phrases_digest(phrases: Iterable[Phrase]) -> str:
    """sha256, in hexadecimal, over texts and groups in their order."""
    content = [[phrase.text, phrase.group] for phrase in phrases]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()


def _decoded(data: bytes) -> str:
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(f"The vocabulary is not UTF-8 text from line {line} on; save it as UTF-8.") from error
    if not text.strip():
        raise _refusal(_EMPTY)
    return text


def _collected(entries: Iterable[tuple[str, object, object]]) -> tuple[Phrase, ...]:
    """Check (place, text, group) one after the other; an empty text is no phrase."""
    phrases: list[Phrase] = []
    for place, text, group in entries:
        if not isinstance(text, str) or not isinstance(group, str | None):
            raise _refusal(f"{place} is not a phrase; {_JSON_SHAPES}.")
        one_line, group_name = " ".join(text.split()), " ".join((group or "").split())
        for written in (one_line, group_name):
            if len(written) > UPLOAD_CHARACTERS_MAX:
                raise _refusal(f"{place} has {len(written):,} characters; a phrase or group name has at most {UPLOAD_CHARACTERS_MAX}.")
            if _NOT_TEXT.search(written):
                raise _refusal(f"{place} holds a control character; send plain text.")
        if one_line:
            phrases.append(Phrase(one_line, group_name or None))
        if len(phrases) > UPLOAD_PHRASES_MAX:
            raise _refusal(f"The vocabulary holds more than the {UPLOAD_PHRASES_MAX:,} phrases allowed; send fewer.")
    if not phrases:
        raise _refusal(_EMPTY)
    return tuple(phrases)


def _refusal(sentence: str, *, code: str = "vocabulary_invalid") -> LibraryError:
    return LibraryError(sentence, code=code, param="vocabulary")
