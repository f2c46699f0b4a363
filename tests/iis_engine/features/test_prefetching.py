"""Prefetching in threads: ordered, bounded, and cancelled on exit."""

from __future__ import annotations

import threading

import pytest

from iis_engine.features.prefetching import prefetch


def test_results_have_the_order_of_the_tasks() -> None:
    second_done = threading.Event()

    def compute(task: int) -> int:
        if task == 0:
            assert second_done.wait(10)
        elif task == 1:
            second_done.set()
        return task * 10

    with prefetch(range(5), compute, threads=2, ahead=3) as results:
        assert list(results) == [0, 10, 20, 30, 40]


def test_at_most_the_given_number_of_tasks_runs_ahead() -> None:
    started = list[int]()
    with prefetch(range(100), started.append, threads=2, ahead=4) as results:
        next(results)
    assert len(started) <= 5


def test_an_error_of_a_task_is_raised_and_cancels_the_others() -> None:
    started = list[int]()

    def compute(task: int) -> int:
        started.append(task)
        if task == 2:
            raise ValueError("broken")
        return task

    with pytest.raises(ValueError, match="broken"), prefetch(range(1000), compute, threads=1, ahead=3) as results:
        list(results)
    assert len(started) < 10
