"""Type of the progress callback that long stages take."""

from __future__ import annotations

from collections.abc import Callable

ProgressCallback = Callable[[int, int], None]
"""Called with (done, total) as a stage advances."""


def no_progress(done: int, total: int) -> None:
    """The silent progress callback."""
