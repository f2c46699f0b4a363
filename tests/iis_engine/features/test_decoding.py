"""Work done ahead in threads: in order, bounded, and dropped when nobody asks for it any more."""

from __future__ import annotations

import threading

import pytest

from iis_engine.features.decoding import computed_ahead


def test_results_come_in_the_order_of_the_tasks_whichever_is_done_first() -> None:
    second_done = threading.Event()

    def compute(task: int) -> int:
        if task == 0:
            assert second_done.wait(10)
        elif task == 1:
            second_done.set()
        return task * 10

    with computed_ahead(range(5), compute, threads=2, ahead=3) as results:
        assert list(results) == [0, 10, 20, 30, 40]


def test_no_more_is_done_ahead_than_asked_for() -> None:
    begun = list[int]()
    with computed_ahead(range(100), begun.append, threads=2, ahead=4) as results:
        next(results)
    assert len(begun) <= 5


def test_an_error_of_a_task_reaches_the_one_who_asks_and_ends_the_rest() -> None:
    begun = list[int]()

    def compute(task: int) -> int:
        begun.append(task)
        if task == 2:
            raise ValueError("broken")
        return task

    with pytest.raises(ValueError, match="broken"), computed_ahead(range(1000), compute, threads=1, ahead=3) as results:
        list(results)
    assert len(begun) < 10
