"""Model selection: the strength with the least validation loss is found, wherever the solver starts."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from iis_engine import protocols
from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.model_selection import SolvedHeads, TrainingRows, select_strengths, solve_at, solve_nodes
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
    from_zero, from_random = (select_strengths(source, NODES, data, start=each) for each in (None, start))
    assert torch.equal(from_zero.l2_strengths, from_random.l2_strengths)
    heads = [solve_at(source, NODES, found.l2_strengths, data, start=found.weights) for found in (from_zero, from_random)]
    assert decisions(source, heads[0]) == decisions(source, heads[1])


def noise_and_signal(strength: float) -> tuple[Source, TrainingRows]:
    """Labels that the activations say nothing about (strength 0), or say exactly."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 2
    activations = torch.randn(400, 6, generator=generator)
    activations[:, 0] = strength * (2.0 * y - 1) + (1 - strength) * activations[:, 0]
    return Source.of(activations), TrainingRows(y, torch.arange(400) % 5 == 4, 2)


def test_the_grid_is_widened_at_the_end_that_wins() -> None:
    noise, signal = (select_strengths(source, [6], data) for source, data in (noise_and_signal(0), noise_and_signal(1)))
    assert float(noise.l2_strengths) > protocols.L2_STRENGTHS[0] or float(noise.l2_strengths) == pytest.approx(protocols.L2_STRENGTHS[0])
    assert float(signal.l2_strengths) < protocols.L2_STRENGTHS[-1]
    assert float(signal.validation_accuracy) == 1.0
    assert bool(signal.at_end) == (float(signal.l2_strengths) == pytest.approx(protocols.WEAKER_L2_STRENGTHS[-1]))


def test_a_loose_tolerance_selects_another_strength_than_exact_fits() -> None:
    generator = torch.Generator().manual_seed(3)
    y = torch.arange(300) % 4
    activations = 1.3 * torch.randn(4, 20, generator=generator)[y] + torch.randn(300, 20, generator=generator)
    source, data = Source.of(activations), TrainingRows(y, torch.arange(300) % 5 == 4, 4)
    loose, ours, exact = (
        select_strengths(source, [10], data, tolerance=each).l2_strengths for each in (1e-4, protocols.HEAD_TOLERANCE, 2e-7)
    )
    assert torch.equal(ours, exact)
    assert not torch.equal(loose, exact)


def test_a_given_strength_is_solved_as_it_is() -> None:
    source, data = noisy_problem()
    strengths = torch.tensor([0.5 * 10.0**-i for i in range(len(NODES))])
    solved = solve_at(source, NODES, strengths, data)
    assert torch.equal(solved.l2_strengths, strengths)
    for place, (kept, strength) in enumerate(zip(NODES, strengths.tolist(), strict=True)):
        alone = fit_heads([source], [Group(0, kept, (strength,))], data.y, 4, TOLERANCE).weights[0]
        torch.testing.assert_close(solved.weights[place], alone, atol=2e-3, rtol=0)


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
