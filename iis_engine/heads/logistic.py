"""The linear heads h and g_cls: L2-regularised multinomial logistic regression, many problems at once.

A problem is one pair (group, L2 strength); a group is one sparsified activation matrix. The strengths of a group share one
matrix product, and so do all groups (see `iis_engine.heads.sparse_blocks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor

from iis_engine.heads.solver import Objective, Watch, minimise
from iis_engine.heads.sparse_blocks import Block, Blocks, Group, Source

ROWS_PER_UNKNOWN = 10  # from which the curvature is estimated
ROUNDING_FLOOR = 1e-5  # share of a matrix's mean diagonal that is added where rounding made it indefinite


@dataclass(frozen=True)
class Heads:
    """Solved heads, one per problem, groups in order and strengths within a group.

    Attributes
    ----------
    groups : activation matrices and L2 strengths
    weights : (P, M + 1, C) float32, the last row being the bias
    loss, gradient_norm : (P,) objective and largest absolute gradient entry of the solution
    evaluations : joint loss-and-gradient evaluations spent
    """

    groups: tuple[Group, ...]
    weights: Tensor
    loss: Tensor
    gradient_norm: Tensor
    evaluations: int


class LogisticObjective(Objective):
    """Mean cross-entropy + λ/2 ‖W‖², for all problems of `groups`; the bias is not penalised."""

    def __init__(self, sources: Sequence[Source], groups: Sequence[Group], y: Tensor, class_count: int) -> None:
        self.groups = tuple(groups)
        self.y = y
        self.class_count = class_count
        self.n, self.concept_count = sources[0].shape
        self.device = sources[0].device
        counts = torch.tensor([len(group.strengths) for group in groups])
        self.slots = int(counts.max())  # most unfinished problems of a group; a group with fewer has empty slots
        self.group_of = torch.repeat_interleave(torch.arange(len(groups)), counts)
        self.strengths = torch.tensor([s for group in groups for s in group.strengths], dtype=torch.float32, device=self.device)
        self.shape = (int(counts.sum()), class_count, self.concept_count + 1)
        self.blocks = Blocks(sources, groups, self.slots * class_count)
        self.places = torch.empty(0, dtype=torch.int64, device=self.device)
        self.placed_for: Tensor | None = None

    def _place(self, active: Tensor) -> Tensor:
        """Place of each active problem among (unfinished groups, slots), flattened: (p,)."""
        if self.placed_for is not active:
            unfinished, owners, counts = self.group_of[active.cpu()].unique_consecutive(return_inverse=True, return_counts=True)
            if len(unfinished) < len(self.blocks.order):
                self.blocks.keep(unfinished.tolist())
            place_of = torch.empty(len(self.groups), dtype=torch.int64)
            place_of[self.blocks.order] = torch.arange(len(self.blocks.order))
            self.slots = int(counts.max())
            slots = torch.arange(len(active)) - (counts.cumsum(0) - counts)[owners]
            self.places = (place_of[unfinished[owners]] * self.slots + slots).to(self.device)
            self.placed_for = active
        return self.places

    def _spread(self, weights: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Weights as (groups, slots x C, M) and biases as (groups, slots x C, 1); empty slots are zero."""
        group_count = len(self.blocks.order)
        spread = weights.new_zeros(group_count * self.slots, self.class_count, self.concept_count + 1)
        spread[places] = weights
        spread = spread.view(group_count, self.slots * self.class_count, self.concept_count + 1)
        return spread[:, :, :-1].contiguous(), spread[:, :, -1:].contiguous()

    def _log_probabilities(self, block: Block, weights: Tensor, biases: Tensor) -> Tensor:
        """(g, slots, C, rows); classes before rows, so that the CPU vectorises over rows."""
        logits = block.times(weights).add_(biases)
        return torch.log_softmax(logits.view(len(weights), self.slots, self.class_count, -1), dim=2)

    def value_and_gradient(self, weights: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (p,) float64 and gradient (p, C, M + 1) of the active problems at `weights`."""
        places = self._place(active)
        spread, biases = self._spread(weights, places)
        loss = torch.zeros(len(spread), self.slots, dtype=torch.float64, device=self.device)
        slope, offset = torch.zeros_like(spread), torch.zeros_like(biases)
        for groups, rows, block in self.blocks:
            residual = self._log_probabilities(block, spread[groups], biases[groups])
            labels = self.y[rows].view(1, 1, 1, -1).expand(len(residual), self.slots, 1, -1)
            loss[groups] -= residual.gather(2, labels).squeeze(2).sum(dim=2, dtype=torch.float64)
            residual.exp_().scatter_add_(2, labels, residual.new_full((), -1.0).expand_as(labels))
            flat = residual.view(len(residual), -1, residual.shape[3])
            slope[groups] += block.transposed_times(flat)
            offset[groups] += flat.sum(dim=2, keepdim=True)
        gradient = torch.cat([slope, offset], dim=2).view(-1, self.class_count, self.concept_count + 1)
        gradient = gradient[places].div_(self.n)
        strengths = self.strengths[active]
        penalty = 0.5 * strengths * weights[:, :, :-1].square().sum(dim=(1, 2), dtype=torch.float64)
        gradient[:, :, :-1] += strengths.view(-1, 1, 1) * weights[:, :, :-1]
        return loss.view(-1)[places] / self.n + penalty, gradient

    def curvature(self, weights: Tensor, active: Tensor) -> Tensor:
        """Inverse of a positive-definite approximation of the Hessian, shared by the classes: (p, M + 1, M + 1).

        Each row has the weight mean over classes of p_c (1 - p_c), the class-averaged diagonal block of the exact Hessian
        (Böhning 1992 bounds it by its value at uniform probabilities, those of a cold start). It is estimated from a sample of
        the rows.
        """
        places = self._place(active)
        spread, biases = self._spread(weights, places)
        size = self.concept_count + 1
        step = max(1, self.n // (ROWS_PER_UNKNOWN * size))
        leaders = self._first_at_same_weights(weights, places)
        hessian = torch.zeros(len(active), size, size, dtype=torch.float64, device=self.device)
        problems = [(problem, *divmod(place, self.slots)) for problem, place in enumerate(places.tolist()) if leaders[problem] == problem]
        for group, members in groupby(problems, key=itemgetter(1)):
            part = self.blocks.sample(group, step)
            logits = torch.addmm(biases[group], spread[group], part.T).view(self.slots, self.class_count, -1)
            spreads = self._spreads(logits)
            for problem, _, slot in members:
                weighted = part * spreads[slot].unsqueeze(1)
                edge = weighted.mean(dim=0)
                hessian[problem, :-1, :-1] = weighted.T @ part / len(part)
                hessian[problem, -1, :-1] = hessian[problem, :-1, -1] = edge
                hessian[problem, -1, -1] = spreads[slot].mean()
        hessian = hessian[leaders]
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        floor = 1e-7 * diagonal.mean(dim=1, keepdim=True) + 1e-12  # the bias has no L2 term of its own
        diagonal += floor
        diagonal[:, :-1] += self.strengths[active].double().unsqueeze(1)
        return torch.cholesky_inverse(_factor(hessian)).float()

    def _spreads(self, logits: Tensor) -> Tensor:
        """Mean over the classes of p_c (1 - p_c) at logits (slots, C, rows): (slots, rows)."""
        return (1 - logits.softmax(dim=1).square_().sum(dim=1)) / self.class_count

    def _first_at_same_weights(self, weights: Tensor, places: Tensor) -> list[int]:
        """For each problem the first one of its group at the same weights: their curvatures differ by λ alone."""
        groups = (places // self.slots).tolist()
        first: dict[int, int] = {}
        return [
            leader if torch.equal(weights[problem], weights[leader]) else problem
            for problem, group in enumerate(groups)
            for leader in [first.setdefault(group, problem)]
        ]


def _factor(hessian: Tensor) -> Tensor:
    """Cholesky factors; a matrix that rounding has made indefinite, as under a very weak λ, gets a larger diagonal.

    Only the preconditioner changes by that, not the optimum.
    """
    factors, failed = torch.linalg.cholesky_ex(hessian)
    floor = ROUNDING_FLOOR
    while bool(failed.any()) and floor < 1:
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        diagonal += torch.where(failed > 0, floor * diagonal.mean(dim=1), 0.0).unsqueeze(1)
        factors, failed = torch.linalg.cholesky_ex(hessian)
        floor *= 10
    return factors if floor < 1 else torch.linalg.cholesky(hessian)


def fit_heads(
    sources: Sequence[Source],
    groups: Sequence[Group],
    y: Tensor,
    class_count: int,
    tolerance: float,
    *,
    start: Tensor | None = None,
    watch: Watch | None = None,
    kind: type[LogisticObjective] = LogisticObjective,
) -> Heads:
    """Solve every problem in one stack.

    Parameters
    ----------
    sources : activation matrices (n, M), all of one shape
    groups : source, number of kept concepts and strengths λ of each (the loss is *mean* cross-entropy + λ/2 ‖W‖²,
        so that scikit-learn's C is 1 / (n λ))
    y : (n,) int64 in 0..class_count-1, or as `kind` takes them
    tolerance : largest absolute gradient entry at which a problem is solved
    start : (P, M + 1, C) starting weights; zeros otherwise
    watch : as of `minimise`, with weights (P, M + 1, C)
    kind : objective of the problems; multinomial logistic regression by default
    """
    objective = kind(sources, groups, y, class_count)
    begin = torch.zeros(objective.shape, device=objective.device) if start is None else start.float().transpose(1, 2).contiguous()

    def watch_heads(solved: Tensor, points: Tensor, ahead: Tensor, norms: Tensor) -> Tensor:
        return watch(solved, points.transpose(1, 2), ahead.transpose(1, 2), norms) if watch is not None else torch.zeros_like(solved)

    solution = minimise(objective, begin, tolerance, None if watch is None else watch_heads)
    return Heads(
        groups=objective.groups,
        weights=solution.point.transpose(1, 2).contiguous(),
        loss=solution.value,
        gradient_norm=solution.gradient_norm,
        evaluations=solution.evaluations,
    )


def predict(source: Source, kept: int, weights: Tensor) -> Tensor:
    """Logits (n, p, C) of p heads (p, M + 1, C) on g_s of one activation matrix."""
    n, concept_count = source.shape
    p, _, class_count = weights.shape
    flat = weights[:, :-1].permute(1, 0, 2).reshape(concept_count, -1)
    return torch.addmm(weights[:, -1].reshape(-1), source.rows(0, n, kept), flat).view(n, p, class_count)
