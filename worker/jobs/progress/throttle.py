"""Throttle progress reports of a stage, and estimate the remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS_BETWEEN_REPORTS = 0.5

Write = Callable[[int, int, float | None], None]
"""Called with (done, total, eta_seconds)."""


class ProgressThrottle:
    """Pass on the first and the last report of a stage, and at most two a second in between.

    The estimate extrapolates linearly from the first report, so that shards finished by an earlier attempt do not make it too low.
    """

    def __init__(self, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._first: tuple[float, int] | None = None
        self._written_at = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        now = self._clock()
        if self._first is None:
            self._first = (now, done)
        elif done < total and now - self._written_at < SECONDS_BETWEEN_REPORTS:
            return
        self._written_at = now
        self._write(done, total, self._eta_seconds(now, done, total))

    def _eta_seconds(self, now: float, done: int, total: int) -> float | None:
        if self._first is None or done <= self._first[1]:
            return None
        began_at, began_with = self._first
        return round((now - began_at) / (done - began_with) * (total - done), 1)
