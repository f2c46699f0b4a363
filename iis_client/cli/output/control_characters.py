"""Remove control characters and marks of text direction: names and messages of the service could contain escape sequences."""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, and marks that change the direction of text.
_CONTROL_CHARACTERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def without_control_characters(text: str) -> str:
    """The text without control characters; tabs and line feeds stay.

    Examples
    --------
    >>> without_control_characters("a\\u202eb")
    'ab'
    """
    return _CONTROL_CHARACTERS.sub("", text)
