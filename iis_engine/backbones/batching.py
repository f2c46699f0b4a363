"""Compute in batches; halve the batch size permanently when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.errors import OutOfMemory

_ALLOCATION_FAILURES = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory", "bad_alloc")


@dataclass
class Batches:
    """Batches of at most `size` rows.

    Attributes
    ----------
    size : current batch size; halved when memory runs out
    failure_message : message of the `OutOfMemory` error if a single row does not fit
    """

    size: int
    failure_message: str

    def each(self, compute: Callable[[slice], Tensor], count: int) -> Iterator[Tensor]:
        """Yield `compute(rows)` for consecutive slices that cover 0..count-1.

        Raises
        ------
        OutOfMemory
            If a single row does not fit into memory.
        """
        done = 0
        while done < count:
            rows = slice(done, min(count, done + self.size))
            try:
                computed = compute(rows)
            except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
                if not is_out_of_memory(error):
                    raise
                if self.size == 1:
                    raise OutOfMemory(self.failure_message) from error
                self.size = max(1, self.size // 2)
                if torch.cuda.is_initialized():
                    torch.cuda.empty_cache()
                continue
            yield computed
            done = rows.stop


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch or Python raised the error because memory ran out, on any device."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(text in str(error) for text in _ALLOCATION_FAILURES)
