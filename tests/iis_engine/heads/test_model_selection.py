"""Model selection: the strength with the least validation loss is found, wherever the solver starts."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from iis_engine import protocols
from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.model_selection import SolvedHeads, TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Group, Source

NODES = (20, 10, 3)
TOLERANCE = 1e-6


def noisy_problem(seed: int = 3) -> tuple[Source, TrainingRows]:
    """300 activations of four overlapping classes, M = 20; every fifth row is a validation row."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(300) % 4
    activations = 0.7 * torch.randn(4, 20, generator=generator)[y] + torch.randn(300, 20, generator=generator)
    return Source.of(activations), TrainingRows(y, torch.arange(300) % 5 == 4, 4)


def decisions(source: Source, solved: SolvedHeads) -> list[list[int]]:
    return [predict(source, kept, solved.weights[i : i + 1]).argmax(dim=2).squeeze(1).tolist() for i, kept in enumerate(NODES)]


def test_a_random_start_leads_to_the_same_strengths_and_the_same_decisions() -> None:
    source, data = noisy_problem()
    start = torch.randn(len(NODES), 21, 4, generator=torch.Generator().manual_seed(7))
    from_zero, from_random = solve_nodes(source, NODES, data), solve_nodes(source, NODES, data, start=start)
    assert torch.equal(from_zero.l2_strengths, from_random.l2_strengths)
    assert decisions(source, from_zero) == decisions(source, from_random)


def test_the_selected_strength_has_the_first_local_minimum_of_the_validation_loss() -> None:
    source, data = noisy_problem()
    solved = solve_nodes(source, NODES, data)
    fit, validation = source.where(~data.validation), source.where(data.validation)
    for kept, selected in zip(NODES, solved.l2_strengths.tolist(), strict=True):
        heads = fit_heads([fit], [Group(0, kept, protocols.L2_STRENGTHS)], data.y[~data.validation], 4, TOLERANCE).weights
        logits = predict(validation, kept, heads)
        losses = [float(torch.nn.functional.cross_entropy(logits[:, i], data.y[data.validation])) for i in range(len(heads))]
        gains = [weaker <= stronger * (1 - protocols.SMALLEST_GAIN) for stronger, weaker in pairwise(losses)]
        expected = gains.index(False) if False in gains else len(gains)
        assert abs(selected - protocols.L2_STRENGTHS[expected]) < 1e-9


def test_more_nodes_than_fit_one_stack_are_solved_in_parts_to_the_same_decisions(monkeypatch: pytest.MonkeyPatch) -> None:
    source, data = noisy_problem()
    together = solve_nodes(source, NODES, data)
    monkeypatch.setattr("iis_engine.heads.model_selection.STACK_BYTES", 1)
    assert decisions(source, solve_nodes(source, NODES, data)) == decisions(source, together)
