"""Batches: the size is halved when memory runs out, and only then."""

from __future__ import annotations

import pytest
import torch

from iis_engine.backbones.batching import Batches
from iis_engine.errors import OutOfMemory


def test_every_row_is_computed_once_and_in_order() -> None:
    sizes = list[int]()

    def compute(rows: slice) -> torch.Tensor:
        if rows.stop - rows.start > 3:
            raise MemoryError
        sizes.append(rows.stop - rows.start)
        return torch.arange(10)[rows]

    batches = Batches(8, "Not one row fits.")
    assert torch.equal(torch.cat(list(batches.each(compute, 10))), torch.arange(10))
    assert sizes == [2, 2, 2, 2, 2]  # 8 and 4 fail, 2 is kept
    assert batches.size == 2


def test_no_rows_give_no_batches() -> None:
    assert list(Batches(8, "Not one row fits.").each(lambda _: torch.zeros(1), 0)) == []


def test_the_callers_message_is_raised_if_a_single_row_does_not_fit() -> None:
    def compute(rows: slice) -> torch.Tensor:
        raise torch.OutOfMemoryError

    with pytest.raises(OutOfMemory, match="Not one row fits"):
        list(Batches(8, "Not one row fits.").each(compute, 10))


def test_other_errors_do_not_halve_the_batch() -> None:
    def compute(rows: slice) -> torch.Tensor:
        raise RuntimeError("shapes differ")

    batches = Batches(8, "Not one row fits.")
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(batches.each(compute, 10))
    assert batches.size == 8
