"""Compute results in a pool of threads, a bounded number ahead of their consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def prefetch(tasks: Sequence[Task], compute: Callable[[Task], Result], threads: int, ahead: int) -> Generator[Iterator[Result]]:
    """Yield an iterator over `compute(task)` in the order of the tasks.

    On exit, also after an error, tasks that have not started are cancelled.

    Parameters
    ----------
    threads : number of threads
    ahead : largest number of tasks submitted before their results are requested
    """
    remaining = iter(tasks)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")

    def submit(count: int) -> list[Future[Result]]:
        return [pool.submit(compute, task) for task in islice(remaining, count)]

    def results() -> Iterator[Result]:
        submitted = deque(submit(ahead))
        while submitted:
            result = submitted.popleft().result()
            submitted.extend(submit(1))
            yield result

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
