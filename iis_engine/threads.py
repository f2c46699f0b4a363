"""Independent computations on all cores, one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item], device: torch.device) -> Iterator[Result]:
    """Apply a function to independent items, and yield the results in order.

    On a CPU every item is computed by one thread, as many at once as torch may use: several threads inside small tensor operations are
    slower than one. So the results do not depend on the number of threads. An accelerator computes the items in turn.

    Raises
    ------
    Whatever `function` raises; items that have not started are then dropped
    """
    if device.type != "cpu":
        yield from map(function, items)
        return
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        if threads == 1 or len(items) < 2:
            yield from map(function, items)
            return
        # Each thread of OpenMP has a number of its own.
        with ThreadPoolExecutor(min(threads, len(items)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(function, item) for item in items]
            try:
                for future in futures:
                    yield future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(threads)
