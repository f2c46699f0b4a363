"""Names and types of archive entries: relative paths inside the archive; links and devices are refused."""

from __future__ import annotations

import re
import stat
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from iis_engine.errors import DataError

_QUOTED_CHARACTERS_MAX = 80
_PATH_MAX_BYTES = 1024
"""Longest path inside an archive: the limit of a full path on macOS and of a key in object stores."""


def safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """Return the folders and the name of an entry, in NFC.

    Raises
    ------
    DataError
        For names that are not UTF-8, too long, absolute, or leave the archive.
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:  # tarfile decodes other bytes to lone surrogates, which no database stores
        raise refusal(archive, f"contains the name {quoted(name)}, which is not UTF-8; pack it again with UTF-8 names") from error
    if length > _PATH_MAX_BYTES:
        raise refusal(
            archive, f"contains the path {quoted(name)} of {length} bytes; pack it again with paths of at most {_PATH_MAX_BYTES} bytes"
        )
    slashed = name.replace("\\", "/")
    if slashed.startswith("/") or re.match(r"[A-Za-z]:", slashed):
        raise refusal(archive, f"contains the absolute path {name!r}; pack the folder from inside its parent")
    parts = tuple(normalize("NFC", part) for part in PurePosixPath(slashed).parts if part != ".")
    if ".." in parts:
        raise refusal(archive, f"contains the path {name!r}, which leaves the archive; pack the folder from inside its parent")
    if any("\0" in part or len(part.encode()) > 255 for part in parts):
        raise refusal(archive, f"contains the name {quoted(name)}, which is not a valid file name; rename the file and pack it again")
    return parts


def quoted(name: str) -> str:
    """Quote a name for a message; a long one is shortened."""
    return repr(name) if len(name) <= _QUOTED_CHARACTERS_MAX else f"{name[:_QUOTED_CHARACTERS_MAX]!r}…"


def type_problem(kind: int) -> str | None:
    """Say why an entry of this `stat.S_IFMT` kind is refused; None for files and folders."""
    if kind == stat.S_IFLNK:
        return "is a link; pack the files themselves"
    return None if kind in {0, stat.S_IFREG, stat.S_IFDIR} else "is a device or a pipe; pack files only"


def refusal(archive: Path, reason: str, *, code: str = "archive_invalid") -> DataError:
    """Return the error that names the archive and the reason."""
    return DataError(f"The archive {archive.name} {reason}.", code=code, param="archive")
