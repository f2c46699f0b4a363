"""Parse uploaded vocabularies: plain text, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import cast

from iis_engine.display.spreadsheet_cells import unguarded
from iis_engine.errors import LibraryError
from iis_engine.vocabularies.phrases import Phrase

UPLOAD_PHRASES_MAX = 20_000
UPLOAD_CHARACTERS_MAX = 200
"""Characters of a phrase or of a group's name."""

_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EMPTY = "The vocabulary contains no phrases; send at least one."
_JSON_FORMS = 'send a list of strings, a list of {"text", "group"} objects, or an object with a list of strings for each group'
_Entry = tuple[str, object, object]
"""Position for error messages, text, group; not yet validated."""


def parse_txt(data: bytes) -> tuple[Phrase, ...]:
    """Parse one phrase per line; `[name]` starts a group, `[]` ends it; lines starting with `# ` and blank lines are skipped.

    Raises
    ------
    LibraryError
        For text that is not UTF-8, no phrases or more than `UPLOAD_PHRASES_MAX`, a control character, and a phrase longer than
        `UPLOAD_CHARACTERS_MAX`. The message names the line.
    """

    def entries() -> Iterator[_Entry]:
        group = None
        for number, line in enumerate(io.StringIO(_decoded(data), newline=None), start=1):
            content = line.strip()
            if content.startswith("[") and content.endswith("]"):
                group, content = content[1:-1], ""
            if not content.startswith("# "):
                yield f"Line {number}", content, group

    return _validated(entries())


def parse_json(data: bytes) -> tuple[Phrase, ...]:
    """Parse a list of strings, a list of {"text", "group"} objects, or an object {group: [strings]}.

    Raises
    ------
    LibraryError
        As in `parse_txt`, and for malformed JSON and other structures. The message names the line or the entry.
    """
    try:
        content = json.loads(_decoded(data))
    except (ValueError, RecursionError) as error:  # lists nested thousands of levels deep
        raise _refusal(f"The JSON is malformed ({error}); {_JSON_FORMS}.") from error

    def entries() -> Iterator[_Entry]:
        groups = cast("dict[str | None, object]", content if isinstance(content, dict) else {None: content})
        for group, texts in groups.items():
            of_group = "" if group is None else f" of group {group[:40]!r}"
            if not isinstance(texts, list):
                raise _refusal(f"The JSON{of_group} is not a list; {_JSON_FORMS}.")
            for number, entry in enumerate(cast("list[object]", texts), start=1):
                fields = cast("dict[str, object]", entry) if isinstance(entry, dict) else {"text": entry}
                yield f"Entry {number}{of_group}", fields.get("text"), fields.get("group", group)

    return _validated(entries())


def parse_csv(data: bytes) -> tuple[Phrase, ...]:
    """Parse a CSV file with a header line and the column `phrase` or `text`, and optionally `group`.

    Raises
    ------
    LibraryError
        As in `parse_txt`, and for malformed CSV, a missing column and rows longer than the header. The message names the line.
    """
    reader = csv.reader(io.StringIO(_decoded(data), newline=""), strict=True)

    def entries() -> Iterator[_Entry]:
        columns = [cell.strip().casefold() for cell in next((row for row in reader if row), list[str]())]
        column = "phrase" if "phrase" in columns else "text"
        if column not in columns:
            header = ",".join(columns)[:80]
            raise _refusal(f"The CSV needs a header line with a column phrase or text, separated by commas; it begins with {header!r}.")
        for row in reader:
            if any(cell.strip() for cell in row[len(columns) :]):
                raise _refusal(f"Line {reader.line_num} has more cells than the header; put quotes around a phrase that contains a comma.")
            cells = dict(zip(columns, row, strict=False))
            group = cells.get("group")
            yield f"Line {reader.line_num}", unguarded(cells.get(column, "")), None if group is None else unguarded(group)

    try:
        return _validated(entries())
    except csv.Error as error:
        raise _refusal(f"The CSV is malformed at line {reader.line_num} ({error}); save it again as comma-separated values.") from error


def _decoded(data: bytes) -> str:
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal(f"The vocabulary is not UTF-8 text from line {line} on; save it as UTF-8.") from error
    if not text.strip():
        raise _refusal(_EMPTY)
    return text


def _validated(entries: Iterable[_Entry]) -> tuple[Phrase, ...]:
    """Validate the entries and return their phrases; entries with an empty text are skipped."""
    phrases: list[Phrase] = []
    for position, text, group in entries:
        if not isinstance(text, str) or not isinstance(group, str | None):
            raise _refusal(f"{position} is not a phrase; {_JSON_FORMS}.")
        one_line, group_name = " ".join(text.split()), " ".join((group or "").split())
        for value in (one_line, group_name):
            if len(value) > UPLOAD_CHARACTERS_MAX:
                raise _refusal(f"{position} has {len(value):,} characters; a phrase or group name has at most {UPLOAD_CHARACTERS_MAX}.")
            if _CONTROL_CHARACTER.search(value):
                raise _refusal(f"{position} contains a control character; send plain text.")
        if one_line:
            phrases.append(Phrase(one_line, group_name or None))
        if len(phrases) > UPLOAD_PHRASES_MAX:
            raise _refusal(f"The vocabulary contains more than the {UPLOAD_PHRASES_MAX:,} phrases allowed; send fewer.")
    if not phrases:
        raise _refusal(_EMPTY)
    return tuple(phrases)


def _refusal(message: str) -> LibraryError:
    return LibraryError(message, code="vocabulary_invalid", param="vocabulary")
