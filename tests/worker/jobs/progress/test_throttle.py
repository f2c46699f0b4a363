"""Throttling of progress reports, and the estimate of the remaining time."""

from __future__ import annotations

from worker.jobs.progress.throttle import ProgressThrottle


def test_at_most_two_progress_reports_a_second_and_always_the_last() -> None:
    now = [0.0]
    written: list[tuple[int, int, float | None]] = []
    progress = ProgressThrottle(lambda done, total, seconds: written.append((done, total, seconds)), clock=lambda: now[0])
    for done in range(0, 101, 10):
        progress(done, 100)
        now[0] += 0.1
    assert [done for done, _, _ in written] == [0, 50, 100]


def test_the_remaining_time_extrapolates_from_the_first_report() -> None:
    now = [0.0]
    written: list[tuple[int, int, float | None]] = []
    progress = ProgressThrottle(lambda done, total, seconds: written.append((done, total, seconds)), clock=lambda: now[0])
    progress(60, 100)  # found finished
    now[0] = 10.0
    progress(80, 100)
    assert written[-1] == (80, 100, 10.0)
