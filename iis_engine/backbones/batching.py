"""Rows in batches that fit into memory: halved for good whenever it runs out. What is computed on a batch is the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.errors import OutOfMemory

_ALLOCATION_FAILURES = ("DefaultCPUAllocator", "can't allocate memory", "not enough memory", "bad_alloc")


@dataclass
class Batches:
    """Batches of at most `size` rows; `too_large` is the sentence for the case that not even one row fits."""

    size: int
    too_large: str

    def each(self, compute: Callable[[slice], Tensor], count: int) -> Iterator[Tensor]:
        """Yield `compute(rows)` for slices that together cover 0..count-1."""
        done = 0
        while done < count:
            rows = slice(done, min(count, done + self.size))
            try:
                computed = compute(rows)
            except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
                if not is_out_of_memory(error):
                    raise
                if self.size == 1:
                    raise OutOfMemory(self.too_large) from error
                self.size = max(1, self.size // 2)
                if torch.cuda.is_initialized():
                    torch.cuda.empty_cache()
                continue
            yield computed
            done = rows.stop


def is_out_of_memory(error: Exception) -> bool:
    """Whether torch, or Python, raised this for want of memory on any device."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(text in str(error) for text in _ALLOCATION_FAILURES)
