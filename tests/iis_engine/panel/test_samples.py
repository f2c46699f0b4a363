"""Samples of rows in canonical order."""

from __future__ import annotations

import torch

from iis_engine.panel.samples import evenly_spaced, stratified


def test_evenly_spaced_rows_are_all_rows_below_the_limit_and_centred_steps_above_it() -> None:
    assert evenly_spaced(4, 10).tolist() == [0, 1, 2, 3]
    assert evenly_spaced(9, 3).tolist() == [1, 4, 7]
    assert evenly_spaced(10, 1).tolist() == [5]
    assert evenly_spaced(0, 5).tolist() == []


def test_a_stratified_sample_keeps_the_shares_of_the_classes_and_at_least_one_row_of_each() -> None:
    y = torch.tensor([0] * 600 + [1] * 300 + [2] * 99 + [3])
    rows = stratified(y, 100)

    assert torch.bincount(y[rows]).tolist() == [60, 30, 10, 1]
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert stratified(y, 1000).tolist() == list(range(1000))
