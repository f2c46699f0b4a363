"""What the engine refuses, as sentences for the person who sent the input.

EngineError
├── CheckpointError        the checkpoint file cannot be read as data
├── ArchitectureError      unknown architecture, layer, or weights that do not fit it
├── DataError              the images, features or labels cannot be scored
├── LibraryError           the concept library cannot be built as asked
├── SettingError           a device, protocol, seed or other setting that does not exist or that this machine cannot meet
└── OutOfMemory            not even one image fits on the device
"""

from __future__ import annotations

import unicodedata

MESSAGE_CHARACTERS = 2000


class EngineError(Exception):
    """Base of every refusal. `code` is stable for machines, `str(error)` is the sentence, `param` names the input at fault."""

    code = "engine_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(_legible(message))
        self.code = code or type(self).code
        self.param = param


class CheckpointError(EngineError):
    code = "checkpoint_unreadable"


class ArchitectureError(EngineError):
    code = "architecture_mismatch"


class DataError(EngineError):
    code = "data_invalid"


class LibraryError(EngineError):
    code = "library_invalid"


class SettingError(EngineError):
    code = "setting_invalid"


class OutOfMemory(EngineError):
    code = "out_of_memory"


def _legible(message: str) -> str:
    """The sentence with what it quotes from a file made harmless: names in it may be endless, or move a terminal's cursor.

    Control and formatting characters, directions of writing among them, become escapes; of what is too long the middle is left out.
    """
    if len(message) > MESSAGE_CHARACTERS:
        half = MESSAGE_CHARACTERS // 2
        message = f"{message[:half]} … {message[-half:]}"
    return "".join(character if _is_visible(character) else ascii(character)[1:-1] for character in message)


def _is_visible(character: str) -> bool:
    return character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co"}
