"""Independent computations on all cores, one thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")


def call_in_threads(functions: Sequence[Callable[[], Result]], device: torch.device) -> Iterator[Result]:
    """Call independent functions, and yield their results in order.

    On a CPU each is computed by one thread, as many at once as torch may use: several threads inside small tensor operations are slower
    than one. So the results do not depend on the number of threads. An accelerator computes them in turn.

    Raises
    ------
    Whatever a function raises; those that have not started are then dropped
    """
    if device.type != "cpu":
        yield from (function() for function in functions)
        return
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        if threads == 1 or len(functions) < 2:
            yield from (function() for function in functions)
            return
        # Each thread of OpenMP has a number of its own.
        with ThreadPoolExecutor(min(threads, len(functions)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(function) for function in functions]
            try:
                for future in futures:
                    yield future.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(threads)
