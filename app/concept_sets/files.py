"""Write phrases as files that the parsers in iis_engine.vocabularies.phrases read back unchanged."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Literal

from app.errors import InvalidInput
from iis_engine.display.spreadsheet_cells import guarded
from iis_engine.vocabularies.phrases import Phrase

FileFormat = Literal["txt", "json", "csv"]
MEDIA_TYPES: dict[FileFormat, str] = {"txt": "text/plain; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8"}


def write(file_format: FileFormat, title: str, phrases: Sequence[Phrase]) -> bytes:
    """The phrases in one of the formats; `title` becomes the first line of a txt file.

    Raises
    ------
    InvalidInput
        When a phrase means something else in a txt file.
    """
    writers: dict[FileFormat, Callable[[], str]] = {
        "txt": lambda: _txt(title, phrases),
        "json": lambda: json.dumps([{"text": phrase.text, "group": phrase.group} for phrase in phrases], ensure_ascii=False, indent=1),
        "csv": lambda: _csv(phrases),
    }
    return writers[file_format]().encode()


def _txt(title: str, phrases: Sequence[Phrase]) -> str:
    lines = [f"# {' '.join(title.split())}"]
    group = None
    for phrase in phrases:
        if phrase.text.startswith("# ") or (phrase.text.startswith("[") and phrase.text.endswith("]")):
            raise InvalidInput(
                f"The phrase {phrase.text!r} would be read as a comment or a group in a txt file; download it as json or csv.",
                code="format_unfit",
                param="format",
            )
        if phrase.group != group:
            group = phrase.group
            lines += ["", f"[{group or ''}]"]
        lines.append(phrase.text)
    return "\n".join(lines) + "\n"


def _csv(phrases: Sequence[Phrase]) -> str:
    content = io.StringIO(newline="")
    writer = csv.writer(content)
    writer.writerow(["phrase", "group"])
    writer.writerows([guarded(phrase.text), guarded(phrase.group or "")] for phrase in phrases)
    return content.getvalue()
