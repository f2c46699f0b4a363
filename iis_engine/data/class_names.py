"""Bounds of class names and warnings, which every answer about a data set repeats."""

from __future__ import annotations

from collections.abc import Sequence

from iis_engine.errors import DataError

MAX_CLASSES = 50_000
MAX_NAME_CHARACTERS = 255
MAX_CHARACTERS = 1 << 20  # of all names together
MAX_WARNINGS = 100
MAX_WARNING_CHARACTERS = 1000


def require_bounded_names(names: Sequence[str]) -> None:
    """Check number and length of class names.

    Raises
    ------
    DataError
    """
    if len(names) > MAX_CLASSES:
        raise DataError(f"The data set has {len(names)} classes; at most {MAX_CLASSES} are supported.", code="dataset_classes")
    longest = max(names, key=len, default="")
    if len(longest) > MAX_NAME_CHARACTERS:
        raise DataError(
            f"The class name {longest[:40]}… has {len(longest)} characters; shorten it to at most {MAX_NAME_CHARACTERS}.",
            code="dataset_classes",
        )
    total = sum(map(len, names))
    if total > MAX_CHARACTERS:
        raise DataError(
            f"The class names have {total} characters together; shorten them to at most {MAX_CHARACTERS}.", code="dataset_classes"
        )


def bounded_warnings(warnings: Sequence[str]) -> tuple[str, ...]:
    """The first warnings, each shortened; a last one counts the others.

    Examples
    --------
    >>> bounded_warnings(["a"] * 102)[-1]
    '3 more warnings were left out.'
    """
    kept = warnings if len(warnings) <= MAX_WARNINGS else warnings[: MAX_WARNINGS - 1]
    shown = [text if len(text) <= MAX_WARNING_CHARACTERS else text[: MAX_WARNING_CHARACTERS - 1] + "…" for text in kept]
    more = len(warnings) - len(kept)
    return (*shown, *([f"{more} more warnings were left out."] if more else []))
