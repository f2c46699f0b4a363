"""Rows that stay in host memory where they do not fit the device: ranges are copied to the device whenever a product needs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from iis_engine.heads.sparse_blocks import ROWS_AT_ONCE, Source
from iis_engine.heads.sparsify import magnitude_ranks


@dataclass(frozen=True)
class HostSource(Source):
    """A source in host memory. `rows` copies a range to the device, and thresholds or transforms it there.

    Its numbers are those of a source on the device, and so are the blocks of the solver. A GPU copies from pinned staging memory, so
    that the copy does not wait for the kernels before it.

    Attributes
    ----------
    activations, ranks : as in `Source`, on the CPU; ranks as whole numbers of the narrowest type
    compute_device : device of what `rows` returns
    transform : applied to each range of rows on the device, such as a standardisation; None for none
    chosen : (k,) int64 numbers of the rows in use; None for all
    """

    compute_device: torch.device
    transform: Callable[[Tensor], Tensor] | None = None
    chosen: Tensor | None = None

    @staticmethod
    def thresholded(activations: Tensor, device: torch.device) -> HostSource:
        """A source (n, M) on the CPU, to be thresholded on `device`."""
        ranks = torch.cat([magnitude_ranks(rows.to(device)).cpu() for rows in activations.split(ROWS_AT_ONCE)])
        return HostSource(activations, ranks, device)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows in use, and of columns."""
        return len(self.activations) if self.chosen is None else len(self.chosen), self.activations.shape[1]

    @property
    def device(self) -> torch.device:
        """Device of what `rows` returns."""
        return self.compute_device

    def rows(self, start: int, stop: int, kept: int, step: int = 1) -> Tensor:
        """g_s of every `step`-th of a range of rows in use: (rows, M) on the device."""
        stop = min(stop, self.shape[0])
        starts = range(start, stop, ROWS_AT_ONCE * step)
        if not starts:
            return torch.empty(0, self.shape[1], device=self.compute_device)
        parts = [self._range(first, min(first + ROWS_AT_ONCE * step, stop), kept, step) for first in starts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def where(self, mask: Tensor) -> HostSource:
        """The rows in use that `mask` marks; nothing is copied but their numbers."""
        numbers = mask.cpu().nonzero().flatten()
        return replace(self, chosen=numbers if self.chosen is None else self.chosen[numbers])

    def _range(self, start: int, stop: int, kept: int, step: int) -> Tensor:
        part = self._on_device(self.activations, start, stop, step)
        if self.transform is not None:
            part = self.transform(part)
        if self.ranks is None or kept >= part.shape[1]:
            return part
        return (kept - self._on_device(self.ranks, start, stop, step).float()).clamp_(0, 1).mul_(part)

    def _on_device(self, matrix: Tensor, start: int, stop: int, step: int) -> Tensor:
        rows = matrix[start:stop:step] if self.chosen is None else matrix[self.chosen[start:stop:step]]
        if self.compute_device.type == "cpu":
            return rows
        # Pinned memory of a strided view would span the rows between as well.
        return rows.contiguous().pin_memory().to(self.compute_device, non_blocking=True)
