"""Independent computations on all cores: order, errors, and the number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import torch

from iis_engine.threads import call_in_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """Torch may use two threads during a test."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_items_run_side_by_side_with_one_thread_each_and_come_back_in_order() -> None:
    both_run = threading.Barrier(2, timeout=30)

    def work(item: int) -> tuple[int, int]:
        both_run.wait()
        return item, torch.get_num_threads()

    assert list(call_in_threads([partial(work, 5), partial(work, 3)], CPU)) == [(5, 1), (3, 1)]
    assert torch.get_num_threads() == 2


def test_one_core_computes_the_items_in_the_calling_thread() -> None:
    torch.set_num_threads(1)
    names = list(call_in_threads([lambda: threading.current_thread().name] * 3, CPU))
    assert set(names) == {threading.current_thread().name}


def test_an_error_is_raised_and_items_that_have_not_started_are_dropped() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        if item == 0:
            raise ValueError("no value")
        time.sleep(0.01)
        return item

    with pytest.raises(ValueError, match="no value"):
        list(call_in_threads([partial(work, item) for item in range(200)], CPU))
    assert len(started) < 200
    assert torch.get_num_threads() == 2
