"""Exceptions of the engine; each message says what was wrong with the input and what to send instead.

EngineError
├── CheckpointError        the checkpoint file cannot be read as plain weights
├── ArchitectureError      unknown architecture, layer or argument, or weights that do not fit
├── DataError              the images, features or labels cannot be scored
│   └── UnreadableImage    one image file cannot be decoded
├── LibraryError           the concept library cannot be built as requested
├── SettingError           an unknown device, protocol, seed or other setting, or one that this machine cannot provide
└── OutOfMemory            not even one image fits on the device
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

MESSAGE_CHARACTERS_MAX = 2000
_REASON_CHARACTERS_MAX = 200


class EngineError(Exception):
    """Base class of the engine's exceptions.

    Attributes
    ----------
    code : stable identifier for programs
    param : name of the input at fault, or None
    """

    code = "engine_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(printable(message, MESSAGE_CHARACTERS_MAX))
        self.code = code or type(self).code
        self.param = param


class CheckpointError(EngineError):
    """The checkpoint file cannot be read as plain weights."""

    code = "checkpoint_unreadable"


class ArchitectureError(EngineError):
    """The architecture, its arguments or its layer are unknown, or the weights do not fit it."""

    code = "architecture_mismatch"


class DataError(EngineError):
    """The images, features or labels cannot be scored."""

    code = "data_invalid"


class UnreadableImage(DataError):
    """One image file cannot be decoded.

    Attributes
    ----------
    reason : the message without the file's name, so that images can be counted by reason
    """

    code = "image_unreadable"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The image {name} {reason}.", param=name)
        self.reason = reason


class LibraryError(EngineError):
    """The concept library cannot be built as requested."""

    code = "library_invalid"


class SettingError(EngineError):
    """A setting does not exist, is out of range, or cannot be provided by this machine."""

    code = "setting_invalid"


class OutOfMemory(EngineError):
    """Not even one image or phrase fits into the device's memory."""

    code = "out_of_memory"


def first_names(names: Sequence[str], limit: int = 5) -> str:
    """Join at most `limit` names and the number of the others, for an error message.

    Examples
    --------
    >>> first_names(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error message, at most 200 characters and without a final full stop.

    Examples
    --------
    >>> first_line(ValueError("bad header.\\nsee the manual")), first_line(KeyError())
    ('bad header', 'KeyError')
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:_REASON_CHARACTERS_MAX].rstrip(".")


def printable(message: str, characters_max: int) -> str:
    """Escape control, formatting and bidirectional characters, and cut the middle of a message that is too long.

    Messages quote names from uploaded files, which can be endless or move a terminal's cursor.
    """
    if len(message) > characters_max:
        half = characters_max // 2
        message = f"{message[:half]} … {message[-half:]}"
    return "".join(character if _is_printable(character) else ascii(character)[1:-1] for character in message)


def _is_printable(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
