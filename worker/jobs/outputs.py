"""Read files that stages wrote. The compute process is not trusted and may still change them: nothing is mapped, every read is bounded."""

from __future__ import annotations

import json
import os
import stat
import tokenize
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from worker.sandbox.outcomes import ChildLost

JSON_BYTES_MAX = 64 << 20
SPARSE_BYTES_MAX, SPARSE_FACTOR = 1 << 30, 64
"""Larger files must take up at least this share of their size on disk; file systems that compress seldom reach it."""
_BLOCK_BYTES = 512
FLOAT = np.dtype("<f4")
SHOWN_BYTES_MAX, SHOWN_VALUES_MAX = 16 << 20, 1 << 20
"""Of JSON that one answer of the API repeats; each value takes up to some hundred bytes of memory there."""
WARNINGS_MAX, WARNING_CHARACTERS_MAX = 100, 4000
_HEADER_ERRORS = (ValueError, TypeError, KeyError, OverflowError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError)
"""Exceptions of NumPy's parser of headers, which are Python literals."""


class OutputInvalid(ChildLost):
    """A file of the compute process is not what the stage writes. The message is a sentence."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"The compute process wrote an invalid file {path.name}: {reason}.")


def open_output(path: Path) -> BinaryIO:
    """Open a file that the compute process wrote.

    Raises
    ------
    OutputInvalid
        For a link, which could point to files that only the parent can read, for a pipe or device, which could block it, and for a sparse
        file, which takes no disk space before it is stored.
    FileNotFoundError
        Without such a file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OutputInvalid(path, error.strerror.lower() if error.strerror else "it cannot be opened") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OutputInvalid(path, "it is not a regular file")
    if found.st_size > SPARSE_BYTES_MAX and found.st_size > SPARSE_FACTOR * found.st_blocks * _BLOCK_BYTES:
        os.close(descriptor)
        raise OutputInvalid(path, "it is a large file almost without content")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, *, bytes_max: int = JSON_BYTES_MAX, values_max: int | None = None) -> Any:
    """The JSON content of a file that the compute process wrote.

    Raises
    ------
    OutputInvalid
        For a file that is larger than `bytes_max`, has more values than `values_max`, or is not JSON.
    """
    with open_output(path) as file:
        content = file.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise OutputInvalid(path, f"it has more than {bytes_max:,} bytes")
    if values_max is not None and _value_count(content) > values_max:
        raise OutputInvalid(path, f"it has more than {values_max:,} values")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise OutputInvalid(path, "it is not JSON") from error


def read_shown_json(path: Path) -> Any:
    """The JSON content of a file that answers of the API repeat.

    Raises
    ------
    OutputInvalid
        As `read_json`, with the bounds of what is shown.
    """
    return read_json(path, bytes_max=SHOWN_BYTES_MAX, values_max=SHOWN_VALUES_MAX)


def require_shown(found: object, title: str) -> None:
    """Check the size of a part of a stage's reply that answers of the API repeat.

    Raises
    ------
    ChildLost
    """
    content = json.dumps(found).encode()
    if len(content) > SHOWN_BYTES_MAX or _value_count(content) > SHOWN_VALUES_MAX:
        raise ChildLost(f"The compute process sent {title} of {len(content):,} bytes, more than a stage sends.")


def warnings_of(result: dict[str, Any]) -> list[str]:
    """The first warnings of a stage's reply, each shortened; no stage has more."""
    return [str(text)[:WARNING_CHARACTERS_MAX] for text in islice(result.get("warnings", ()), WARNINGS_MAX)]


def _value_count(content: bytes) -> int:
    """Upper bound of the number of JSON values."""
    return content.count(b",") + content.count(b"[") + content.count(b"{") + 1


@dataclass(frozen=True)
class MatrixFile:
    """An open npy file of float32.

    Attributes
    ----------
    count, dimension : of its rows, as the header states
    """

    path: Path
    file: BinaryIO
    count: int
    dimension: int

    def read_rows(self, count: int) -> list[list[float]]:
        """The next `count` rows."""
        content = self.file.read(count * self.dimension * FLOAT.itemsize)
        if len(content) != count * self.dimension * FLOAT.itemsize:
            raise OutputInvalid(self.path, "it ends before the rows that its header states")
        return np.frombuffer(content, FLOAT).reshape(count, self.dimension).tolist()


@contextmanager
def open_matrix(path: Path, *, dimension_max: int) -> Generator[MatrixFile]:
    """Open an npy file that the compute process wrote; memory is proportional to the rows that are read at once.

    Raises
    ------
    OutputInvalid
        For a file that is not a matrix of float32 in C order, and one with more columns than `dimension_max`.
    """
    with open_output(path) as file:
        try:
            np.lib.format.read_magic(file)
            shape, is_column_major, dtype = np.lib.format.read_array_header_1_0(file)
        except _HEADER_ERRORS as error:
            raise OutputInvalid(path, "it has no npy header") from error
        if dtype != FLOAT or is_column_major or len(shape) != 2 or not 0 < shape[1] <= dimension_max or shape[0] < 0:
            raise OutputInvalid(path, "it is not a matrix of float32")
        yield MatrixFile(path, file, shape[0], shape[1])
