"""Model selection under `exact`: the L2 strength of each node by validation loss, then the unique optimum on all training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.sparse_blocks import Group, Source

STACK_BYTES = 1 << 30  # of solver state at once; larger stacks are solved in parts
WEIGHT_COPIES = 26  # of each problem in solver state, beside one inverse Hessian (M + 1, M + 1)


@dataclass(frozen=True)
class TrainingRows:
    """Labels of all training rows, and the rows of the validation split.

    Attributes
    ----------
    y : (n,) int64
    validation : (n,) bool
    class_count : C
    """

    y: Tensor
    validation: Tensor
    class_count: int


@dataclass(frozen=True)
class SolvedHeads:
    """One head per node, at its selected L2 strength.

    Attributes
    ----------
    weights : (K, M + 1, C) float32, the last row being the bias
    l2_strengths : (K,) λ
    gradient_norm : largest absolute gradient entry left in any of them
    evaluations : joint loss-and-gradient evaluations, model selection included
    """

    weights: Tensor
    l2_strengths: Tensor
    gradient_norm: float
    evaluations: int


@dataclass(frozen=True)
class Tolerances:
    """Largest absolute gradient entry at which a head counts as solved.

    Attributes
    ----------
    selection : while the L2 strength is selected
    final : of the solution on all training rows
    """

    selection: float
    final: float


SPARSE_HEAD_TOLERANCES = Tolerances(protocols.SELECTION_TOLERANCE, protocols.FINAL_TOLERANCE)


def solve_nodes(
    source: Source,
    nodes: Sequence[int],
    data: TrainingRows,
    *,
    start: Tensor | None = None,
    tolerances: Tolerances = SPARSE_HEAD_TOLERANCES,
) -> SolvedHeads:
    """Select each node's L2 strength on the validation rows, then solve its head on all training rows.

    Parameters
    ----------
    source : activations (n, M) of all training rows
    nodes : K numbers of kept concepts
    start : (K, M + 1, C) weights from which each node starts; zeros otherwise
    """
    concept_count = source.activations.shape[1]
    bytes_per_node = 4 * len(protocols.L2_STRENGTHS) * (concept_count + 1) * (concept_count + WEIGHT_COPIES * data.class_count)
    nodes_per_stack = max(1, STACK_BYTES // bytes_per_node)
    stacks = [slice(first, first + nodes_per_stack) for first in range(0, len(nodes), nodes_per_stack)]
    parts = [_solve_stack(source, nodes[part], data, None if start is None else start[part], tolerances) for part in stacks]
    return SolvedHeads(
        weights=torch.cat([part.weights for part in parts]),
        l2_strengths=torch.cat([part.l2_strengths for part in parts]),
        gradient_norm=max(part.gradient_norm for part in parts),
        evaluations=sum(part.evaluations for part in parts),
    )


def _solve_stack(source: Source, nodes: Sequence[int], data: TrainingRows, start: Tensor | None, tolerances: Tolerances) -> SolvedHeads:
    """Solve all strengths of all nodes on the fitting rows together, then each node's selected strength on all rows."""
    l2_strengths = protocols.L2_STRENGTHS
    groups = [Group(0, kept, l2_strengths) for kept in nodes]
    path = RegularizationPath(source.where(data.validation), groups, data.y[data.validation])
    shape = (len(groups) * len(l2_strengths), source.activations.shape[1] + 1, data.class_count)
    candidates = fit_heads(
        [source.where(~data.validation)],
        groups,
        data.y[~data.validation],
        data.class_count,
        tolerances.selection,
        start=torch.zeros(shape, device=data.y.device) if start is None else start.repeat_interleave(len(l2_strengths), dim=0),
        drop=path.drop,
    )
    selected = path.select(candidates.weights)
    rows = torch.tensor([node * len(l2_strengths) + place for node, place in enumerate(selected)], device=data.y.device)
    final = fit_heads(
        [source],
        [Group(0, kept, (l2_strengths[place],)) for kept, place in zip(nodes, selected, strict=True)],
        data.y,
        data.class_count,
        tolerances.final,
        start=candidates.weights[rows],
    )
    return SolvedHeads(
        weights=final.weights,
        l2_strengths=torch.tensor([l2_strengths[place] for place in selected]),
        gradient_norm=float(final.gradient_norm.max()),
        evaluations=candidates.evaluations + final.evaluations,
    )


class RegularizationPath:
    """Selection of λ per group by validation log-loss, from the strongest λ to the weakest until the loss first rises.

    The loss is smooth where accuracy is a staircase, so the selection does not depend on the solver's last digits. Strengths beyond
    the first rise, the slowest to solve, are dropped unfinished.

    Parameters
    ----------
    validation : activations of the validation rows
    groups : G groups, each with the same L strengths, strongest first
    y : labels of the validation rows
    """

    def __init__(self, validation: Source, groups: Sequence[Group], y: Tensor) -> None:
        self.validation = validation
        self.groups = groups
        self.y = y
        self.length = len(groups[0].strengths)
        self.loss = torch.full((len(groups), self.length), torch.nan)  # (G, L)

    def drop(self, solved: Tensor, weights: Tensor) -> Tensor:
        """Mask (G·L,) of the problems that cannot be selected any more: weaker than a strength at which the loss has risen."""
        self._measure(solved, weights)
        beyond = torch.zeros_like(self.loss, dtype=torch.bool)
        beyond[:, 1:] = self._rises().cumsum(dim=1) > 0
        return beyond.flatten().to(solved.device)

    def select(self, weights: Tensor) -> list[int]:
        """Place of the first local minimum of the loss from the strong end, per group.

        A strength that ran out of evaluations is measured as it stands.
        """
        rises = self._rises()
        undecided = self.loss.isnan() & ~torch.nn.functional.pad(rises.cumsum(dim=1) > 0, (1, 0))
        self._measure(undecided.flatten(), weights)
        return [rises_of_group.index(True) if True in rises_of_group else self.length - 1 for rises_of_group in self._rises().tolist()]

    def _measure(self, ready: Tensor, weights: Tensor) -> None:
        """Validation log-loss of the problems that `ready` marks and that have none yet."""
        new = ready.cpu().view(len(self.groups), self.length) & self.loss.isnan()
        for g in new.any(dim=1).nonzero().flatten().tolist():
            places = new[g].nonzero().flatten()
            rows = (g * self.length + places).to(weights.device)
            logits = predict(self.validation, self.groups[g].kept, weights[rows])
            labels = self.y.unsqueeze(1).expand(-1, len(places))
            losses = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none")
            self.loss[g, places] = losses.double().mean(dim=0).float().cpu()

    def _rises(self) -> Tensor:
        """Where the next weaker strength does not lower the loss enough: (G, L - 1) bool, False beside an unmeasured strength."""
        return self.loss[:, 1:] > self.loss[:, :-1] * (1 - protocols.SMALLEST_GAIN)
