"""Text in CSV cells that a spreadsheet would read as a formula: an apostrophe before it makes it text.

Source: OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet calculates."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that `guarded` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
