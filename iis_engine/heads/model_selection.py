"""One head per sparsity under `exact`: the L2 strength picked on validation rows, then the unique optimum on all training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.logistic import fit_heads, predict
from iis_engine.heads.solver import SolverSettings
from iis_engine.heads.sparse_blocks import Group, Source

STACK_BYTES = 1 << 30  # of solver state at once; larger stacks are solved group by group in turn


@dataclass(frozen=True)
class ExactSettings:
    """What two runs may differ in: the split of the data, and where the solver starts (None: at zero)."""

    seed: int = 0
    start_seed: int | None = None


@dataclass(frozen=True)
class TrainingRows:
    """Labels of all training rows, and which of them are set aside to choose the strength."""

    y: Tensor
    validation: Tensor  # (n,) bool
    class_count: int


@dataclass(frozen=True)
class Solved:
    """One head per node."""

    weights: Tensor  # (G, M + 1, C)
    strengths: Tensor  # (G,)
    gradient_norm: float
    evaluations: int


def solve_nodes(
    source: Source,
    nodes: Sequence[int],
    data: TrainingRows,
    settings: ExactSettings,
    *,
    start: Tensor | None = None,
    tolerances: tuple[float, float] = (protocols.SELECTION_TOLERANCE, protocols.FINAL_TOLERANCE),
) -> Solved:
    """Choose each node's strength on the validation rows, then solve it on all training rows.

    Parameters
    ----------
    source : activations of all training rows
    nodes : numbers of kept concepts
    start : (G, M + 1, C) weights to start each node from; zeros otherwise
    tolerances : largest gradient entry at the end, while the strength is chosen and of the solution on all training rows
    """
    state_bytes = 4 * len(protocols.STRENGTHS) * (source.activations.shape[1] + 1) * (source.activations.shape[1] + 26 * data.class_count)
    at_once = max(1, STACK_BYTES // state_bytes)
    parts = [
        _solve_stack(source, nodes[i : i + at_once], data, settings, None if start is None else start[i : i + at_once], tolerances)
        for i in range(0, len(nodes), at_once)
    ]
    return Solved(
        torch.cat([part.weights for part in parts]),
        torch.cat([part.strengths for part in parts]),
        max(part.gradient_norm for part in parts),
        sum(part.evaluations for part in parts),
    )


def _solve_stack(
    source: Source, nodes: Sequence[int], data: TrainingRows, settings: ExactSettings, start: Tensor | None, tolerances: tuple[float, float]
) -> Solved:
    strengths = protocols.STRENGTHS
    groups = [Group(0, kept, strengths) for kept in nodes]
    fit = source.where(~data.validation)
    path = StrengthPath(source.where(data.validation), groups, data.y[data.validation])
    shape = (len(groups) * len(strengths), source.activations.shape[1] + 1, data.class_count)
    begin = torch.zeros(shape, device=data.y.device) if start is None else start.repeat_interleave(len(strengths), dim=0)
    if settings.start_seed is not None:
        generator = torch.Generator().manual_seed(settings.start_seed)
        begin = begin + 0.1 * torch.randn(shape, generator=generator).to(begin.device)
    tried = fit_heads(
        [fit],
        groups,
        data.y[~data.validation],
        data.class_count,
        SolverSettings(tolerance=tolerances[0]),
        start=begin,
        drop=path.drop,
    )
    best = path.chosen(tried.weights)
    chosen = [Group(0, kept, (strengths[j],)) for kept, j in zip(nodes, best, strict=True)]
    rows = torch.tensor([i * len(strengths) + j for i, j in enumerate(best)], device=data.y.device)
    final = fit_heads([source], chosen, data.y, data.class_count, SolverSettings(tolerance=tolerances[1]), start=tried.weights[rows])
    return Solved(
        final.weights,
        torch.tensor([strengths[j] for j in best]),
        float(final.gradient_norm.max()),
        tried.evaluations + final.evaluations,
    )


class StrengthPath:
    """Choice of λ per group by validation log-loss, going from the strongest to the weakest until the loss first rises.

    The loss is smooth where accuracy is a staircase, so the choice does not hang on the solver's last digits; strengths
    beyond the first rise, the slowest to solve, are dropped unfinished.
    """

    def __init__(self, validation: Source, groups: Sequence[Group], y: Tensor) -> None:
        self.validation = validation
        self.groups = groups
        self.y = y
        self.length = len(groups[0].strengths)
        self.loss = torch.full((len(groups), self.length), torch.nan)

    def _measure(self, ready: Tensor, weights: Tensor) -> None:
        new = ready.cpu().view(len(self.groups), self.length) & self.loss.isnan()
        for g in new.any(dim=1).nonzero().flatten().tolist():
            places = new[g].nonzero().flatten()
            rows = (g * self.length + places).to(weights.device)
            logits = predict(self.validation, self.groups[g].kept, weights[rows])
            labels = self.y.unsqueeze(1).expand(-1, len(places))
            losses = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none")
            self.loss[g, places] = losses.double().mean(dim=0).float().cpu()

    def _rises(self) -> Tensor:
        """Where the next weaker strength does not gain: (G, L - 1); an unmeasured neighbour decides nothing."""
        return self.loss[:, 1:] > self.loss[:, :-1] * (1 - protocols.SMALLEST_GAIN)

    def drop(self, solved: Tensor, weights: Tensor) -> Tensor:
        """The problems that can no longer win: weaker than a strength at which the loss has risen."""
        self._measure(solved, weights)
        rises = self._rises()
        beyond = torch.zeros_like(self.loss, dtype=torch.bool)
        beyond[:, 1:] = rises.cumsum(dim=1) > 0
        return beyond.flatten().to(solved.device)

    def chosen(self, weights: Tensor) -> list[int]:
        """The place of the first local minimum from the strong end, per group.

        A strength that ran out of evaluations before it ended is judged where it stands.
        """
        rises = self._rises()
        undecided = self.loss.isnan() & ~torch.nn.functional.pad(rises.cumsum(dim=1) > 0, (1, 0))
        self._measure(undecided.flatten(), weights)
        best: list[int] = []
        for rises_of_group in self._rises().tolist():
            best.append(rises_of_group.index(True) if True in rises_of_group else self.length - 1)
        return best
