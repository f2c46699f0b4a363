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


def coin(share: float, validation_share: float, validation_scale: float = 1.0) -> tuple[Source, TrainingRows]:
    """One activation x = ±1 that names the class in a share of the fitting rows, and x = ±scale in another share of the validation rows.

    By symmetry the weights of the two classes are ±u/2 and the bias is zero. The gradient vanishes where sigmoid(u) + λu/2 = share.
    """
    signs = torch.tensor([1.0, -1.0]).repeat(100)  # x of 200 rows, half of them in each class
    rows: list[tuple[float, float, int]] = []  # x, share, whether a validation row
    for validation, right, scale in ((0, share, 1.0), (1, validation_share, validation_scale)):
        wrong = round((1 - right) * 100)
        for side in (0, 1):
            names = [1.0] * (100 - wrong) + [-1.0] * wrong
            rows += [(scale * sign * float(signs[side]), float(side), validation) for sign in names]
    x, y, validation = (torch.tensor(column) for column in zip(*rows, strict=True))
    return Source.of(x.unsqueeze(1)), TrainingRows(y.long(), validation.bool(), 2)


@pytest.mark.parametrize(
    ("share", "validation_share", "validation_scale", "strength", "margin", "at_end"),
    [
        # The best margin of the validation rows is u = log(share / (1 - share)) / scale; that of λ solves sigmoid(u) + λu/2 = share.
        (0.9, 0.10, 1.0, 10.0, 0.0762, True),  # every margin harms: the strongest of the widened grid
        (0.9, 0.65, 1.0, 1.0, 0.5375, False),  # the best margin is 0.62; λ = 0.1 has 1.5376
        (1.0, 0.95, 0.3, 1e-5, 9.9123, False),  # the best margin is 9.81; λ = 1e-4 has 7.8434, λ = 1e-6 has 12.0219
        (1.0, 1.00, 1.0, 1e-7, 14.1608, True),  # every margin helps: the weakest of the widened grid
    ],
)
def test_the_grid_is_widened_at_the_end_that_wins(
    share: float, validation_share: float, validation_scale: float, strength: float, margin: float, at_end: bool
) -> None:
    source, data = coin(share, validation_share, validation_scale)
    selected = select_strengths(source, [1], data, tolerance=1e-7)
    assert float(selected.l2_strengths) == pytest.approx(strength)
    assert bool(selected.at_end) == at_end
    assert float(selected.validation_accuracy) == pytest.approx(validation_share)
    assert float(selected.weights[0, 0, 0] - selected.weights[0, 0, 1]) == pytest.approx(margin, rel=2e-2)


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


@pytest.mark.parametrize("seed", range(4))
def test_fits_that_are_stopped_early_choose_the_strengths_of_converged_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source, data = noisy_problem(seed)
    early = select_strengths(source, NODES, data)
    monkeypatch.setattr("iis_engine.heads.regularization_path.CERTAINTY", 1e12)
    converged = select_strengths(source, NODES, data)
    assert torch.equal(early.l2_strengths, converged.l2_strengths)
    assert early.evaluations < converged.evaluations
    torch.testing.assert_close(early.weights, converged.weights, atol=1e-3, rtol=0)


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
