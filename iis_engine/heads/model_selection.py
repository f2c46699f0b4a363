"""Model selection under `exact`: the L2 strength of each node by validation loss, then the unique optimum on all training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.logistic import Heads, LogisticObjective, fit_heads, predict
from iis_engine.heads.one_vs_rest import OneVsRestObjective, retained_quantity
from iis_engine.heads.regularization_path import RegularizationPath
from iis_engine.heads.sparse_blocks import Group, Source

STACK_BYTES = 1 << 30  # of solver state at once; larger stacks are solved in parts
WEIGHT_COPIES = 26  # of each problem in solver state, beside one inverse Hessian (M + 1, M + 1)


@dataclass(frozen=True)
class TrainingRows:
    """Labels of all training rows, and the rows of the validation split.

    Attributes
    ----------
    y : (n,) int64; of multi-label data (n, C) of 0 and 1
    validation : (n,) bool
    class_count : C
    """

    y: Tensor
    validation: Tensor
    class_count: int

    @property
    def objective(self) -> type[LogisticObjective]:
        """Multinomial logistic regression; one-vs-rest for multi-label data."""
        return LogisticObjective if self.y.ndim == 1 else OneVsRestObjective


@dataclass(frozen=True)
class SelectedStrengths:
    """The L2 strength of each node, selected on the validation rows.

    Attributes
    ----------
    l2_strengths : (K,) λ
    weights : (K, M + 1, C) float32, the heads at these strengths, solved on the fitting rows
    validation_accuracy : (K,) float64, of these heads; mean average precision of multi-label data
    at_end : (K,) bool, where the selected strength is the last of the widened grid
    evaluations : joint loss-and-gradient evaluations
    """

    l2_strengths: Tensor
    weights: Tensor
    validation_accuracy: Tensor
    at_end: Tensor
    evaluations: int


@dataclass(frozen=True)
class SolvedHeads:
    """One head per node, at its L2 strength.

    Attributes
    ----------
    weights : (K, M + 1, C) float32, the last row being the bias
    l2_strengths : (K,) λ
    gradient_norm : largest absolute gradient entry left in any of them
    evaluations : joint loss-and-gradient evaluations
    """

    weights: Tensor
    l2_strengths: Tensor
    gradient_norm: float
    evaluations: int


def select_strengths(
    source: Source,
    nodes: Sequence[int],
    data: TrainingRows,
    *,
    start: Tensor | None = None,
    tolerance: float = protocols.HEAD_TOLERANCE,
) -> SelectedStrengths:
    """Select each node's L2 strength by validation log-loss, on converged fits; where an end of the grid wins, widen it there.

    Parameters
    ----------
    source : activations (n, M) of all training rows
    nodes : K numbers of kept concepts
    start : (K, M + 1, C) weights from which each node starts; zeros otherwise
    tolerance : largest absolute gradient entry at which a fit has converged
    """
    if start is None:
        start = torch.zeros(len(nodes), source.activations.shape[1] + 1, data.class_count, device=data.y.device)
    found = _select(source, nodes, data, protocols.L2_STRENGTHS, start, tolerance)
    widened = (
        (protocols.L2_STRENGTHS[0], protocols.STRONGER_L2_STRENGTHS, 0),
        (protocols.L2_STRENGTHS[-1], protocols.WEAKER_L2_STRENGTHS, len(protocols.WEAKER_L2_STRENGTHS) - 1),
    )
    for end, grid, last in widened:
        places = torch.isclose(found.l2_strengths, torch.tensor(end)).nonzero().flatten().tolist()
        if not places:
            continue
        again = _select(source, [nodes[place] for place in places], data, grid, found.weights[places], tolerance)
        strengths, weights, accuracy, at_end = (
            part.clone() for part in (found.l2_strengths, found.weights, found.validation_accuracy, found.at_end)
        )
        strengths[places], weights[places], accuracy[places] = again.l2_strengths, again.weights, again.validation_accuracy
        at_end[places] = torch.isclose(again.l2_strengths, torch.tensor(grid[last]))
        found = SelectedStrengths(strengths, weights, accuracy, at_end, found.evaluations + again.evaluations)
    return found


def solve_at(
    source: Source,
    nodes: Sequence[int],
    l2_strengths: Tensor,
    data: TrainingRows,
    *,
    start: Tensor | None = None,
    tolerance: float = protocols.HEAD_TOLERANCE,
) -> SolvedHeads:
    """Solve each node's head on all training rows at its given L2 strength.

    Parameters
    ----------
    l2_strengths : (K,) λ
    start : (K, M + 1, C) weights from which each node starts; zeros otherwise
    tolerance : largest absolute gradient entry at which a head counts as solved
    """
    parts: list[Heads] = []
    for part in _stacks(source, nodes, data, 1):
        groups = [Group(0, kept, (float(strength),)) for kept, strength in zip(nodes[part], l2_strengths[part], strict=True)]
        begin = None if start is None else start[part]
        parts.append(fit_heads([source], groups, data.y, data.class_count, tolerance, start=begin, kind=data.objective))
    return SolvedHeads(
        weights=torch.cat([part.weights for part in parts]),
        l2_strengths=l2_strengths,
        gradient_norm=max(float(part.gradient_norm.max()) for part in parts),
        evaluations=sum(part.evaluations for part in parts),
    )


def solve_nodes(
    source: Source, nodes: Sequence[int], data: TrainingRows, *, weakest: float = 0.0, tolerance: float = protocols.HEAD_TOLERANCE
) -> SolvedHeads:
    """Select each node's L2 strength on the validation rows, then solve its head on all training rows.

    Parameters
    ----------
    weakest : the head is solved at this strength where a weaker one is selected
    """
    selected = select_strengths(source, nodes, data, tolerance=tolerance)
    solved = solve_at(source, nodes, selected.l2_strengths.clamp(min=weakest), data, start=selected.weights, tolerance=tolerance)
    return replace(solved, evaluations=selected.evaluations + solved.evaluations)


def nodes_per_stack(concept_count: int, class_count: int, strengths: int) -> int:
    """Nodes whose solver state fits the memory of one stack, at least one."""
    return max(1, STACK_BYTES // stack_bytes(concept_count, class_count, strengths))


def stack_bytes(concept_count: int, class_count: int, problems: int) -> int:
    """Bytes of the solver's state in float32: weights, gradients and correction pairs of each problem, and its inverse Hessian."""
    return 4 * problems * (concept_count + 1) * (concept_count + WEIGHT_COPIES * class_count)


def _stacks(source: Source, nodes: Sequence[int], data: TrainingRows, strengths: int) -> list[slice]:
    """The nodes in parts whose solver state fits the memory for one stack."""
    size = nodes_per_stack(source.shape[1], data.class_count, strengths)
    return [slice(first, first + size) for first in range(0, len(nodes), size)]


def _select(
    source: Source, nodes: Sequence[int], data: TrainingRows, grid: tuple[float, ...], start: Tensor, tolerance: float
) -> SelectedStrengths:
    """Select each node's strength from one grid."""
    stacks = _stacks(source, nodes, data, len(grid))
    parts = [_select_stack(source, nodes[part], data, grid, start[part], tolerance) for part in stacks]
    return SelectedStrengths(
        l2_strengths=torch.cat([part.l2_strengths for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        validation_accuracy=torch.cat([part.validation_accuracy for part in parts]),
        at_end=torch.cat([part.at_end for part in parts]),
        evaluations=sum(part.evaluations for part in parts),
    )


def _select_stack(
    source: Source, nodes: Sequence[int], data: TrainingRows, grid: tuple[float, ...], start: Tensor, tolerance: float
) -> SelectedStrengths:
    """Solve all strengths of all nodes on the fitting rows together, and select on the validation rows."""
    groups = [Group(0, kept, grid) for kept in nodes]
    validation, y = source.where(data.validation), data.y[data.validation]
    path = RegularizationPath(validation, groups, y, tolerance)
    candidates = fit_heads(
        [source.where(~data.validation)],
        groups,
        data.y[~data.validation],
        data.class_count,
        tolerance,
        start=start.repeat_interleave(len(grid), dim=0),
        watch=path.watch,
        kind=data.objective,
    )
    selected = path.select(candidates.weights)
    rows = torch.tensor([node * len(grid) + place for node, place in enumerate(selected)], device=data.y.device)
    weights = candidates.weights[rows]
    accuracy = [retained_quantity(predict(validation, kept, weights[place : place + 1]).squeeze(1), y) for place, kept in enumerate(nodes)]
    return SelectedStrengths(
        l2_strengths=torch.tensor([grid[place] for place in selected]),
        weights=weights,
        validation_accuracy=torch.tensor(accuracy, dtype=torch.float64),
        at_end=torch.zeros(len(nodes), dtype=torch.bool),
        evaluations=candidates.evaluations,
    )
