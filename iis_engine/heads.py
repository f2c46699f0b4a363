"""The linear heads h and g_cls: multinomial logistic regression for many problems at once. No curve, no accuracy policy here.

Every problem is one pair (group, L2 strength); a group is one sparsified activation matrix. Groups share their
source matrix, which is masked by rank while it is multiplied, so no n x M x sparsities tensor exists. Strengths of a
group stand side by side in one matrix product.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.solver import Objective, SolverSettings, minimise
from iis_engine.sparsify import magnitude_ranks

CHUNK_ELEMENTS = 1 << 24  # of logits held at once: bounds memory whatever n is
COMPRESS_BELOW = 8  # on a CPU, rows that keep fewer than 1 / 8 of their concepts are multiplied as sparse matrices


@dataclass(frozen=True)
class Source:
    """One activation matrix and, where it is thresholded, the rank of each activation within its row."""

    activations: Tensor  # (n, M) float32
    ranks: Tensor | None  # (n, M) whole numbers as float32, which vectorises; None: always used whole

    @staticmethod
    def of(activations: Tensor, *, thresholded: bool = True) -> Source:
        return Source(activations, magnitude_ranks(activations).float() if thresholded else None)

    def rows(self, start: int, stop: int, kept: int) -> Tensor:
        """g_s of a range of rows: (stop - start, M), all but the `kept` largest magnitudes zeroed."""
        part = self.activations[start:stop]
        if self.ranks is None or kept >= part.shape[1]:
            return part
        # 1 where the rank is below `kept`, else 0: arithmetic on whole numbers is four times as fast as comparing and selecting.
        return (kept - self.ranks[start:stop]).clamp_(0, 1).mul_(part)


@dataclass(frozen=True)
class Group:
    """Problems on one sparsified matrix: which source, how many concepts kept, and the L2 strengths."""

    source: int
    kept: int
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class Heads:
    """Solved heads, one per problem, groups in order and strengths within a group.

    Attributes
    ----------
    groups : what was solved
    weights : (P, M + 1, C) float32, the last row being the bias
    loss, gradient_norm : (P,) objective and largest absolute gradient entry at the end
    evaluations : joint loss-and-gradient evaluations spent
    """

    groups: tuple[Group, ...]
    weights: Tensor
    loss: Tensor
    gradient_norm: Tensor
    evaluations: int

    def first_of(self, group: int) -> int:
        """Index of a group's first problem."""
        return sum(len(g.strengths) for g in self.groups[:group])


class LogisticObjective(Objective):
    """Mean cross-entropy + λ/2 ‖W‖², for all problems of `groups`; the bias is not penalised."""

    def __init__(self, sources: Sequence[Source], groups: Sequence[Group], y: Tensor, class_count: int) -> None:
        self.sources = sources
        self.groups = tuple(groups)
        self.y = y
        self.class_count = class_count
        self.n, self.concept_count = sources[0].activations.shape
        self.device = sources[0].activations.device
        counts = [len(group.strengths) for group in groups]
        self.group_of = torch.repeat_interleave(torch.arange(len(groups)), torch.tensor(counts))
        self.strengths = torch.tensor([s for group in groups for s in group.strengths], dtype=torch.float32, device=self.device)
        self.shape = (sum(counts), self.concept_count + 1, class_count)
        self.compressed: dict[tuple[int, int, int, int], tuple[Tensor, Tensor]] = {}

    def _spans(self, active: Tensor) -> list[tuple[Group, int, int]]:
        """(group, first, last + 1) over the active problems, which stand in group order."""
        owners = self.group_of[active.cpu()]
        names, counts = torch.unique_consecutive(owners, return_counts=True)
        stops = counts.cumsum(0).tolist()
        starts = [0, *stops[:-1]]
        return [(self.groups[g], a, b) for g, a, b in zip(names.tolist(), starts, stops, strict=True)]

    def _rows(self, group: Group, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """g_s of rows `start:stop` and its transpose. Where few concepts are kept both are compressed, once:
        all such groups together then hold about as many numbers as one source."""
        source = self.sources[group.source]
        if source.ranks is None or self.device.type != "cpu" or group.kept * COMPRESS_BELOW > self.concept_count:
            part = source.rows(start, stop, group.kept)
            return part, part.T
        key = (group.source, group.kept, start, stop)
        if key not in self.compressed:
            part = source.rows(start, stop, group.kept)
            self.compressed[key] = (_compress(part), _compress(part.T.contiguous()))
        return self.compressed[key]

    def _probabilities(self, weights: Tensor, part: Tensor, labels_of_rows: Tensor) -> tuple[Tensor, Tensor]:
        """On rows `part` of a group: (rows, p, C) probabilities and (rows, p) log-likelihoods."""
        p = weights.shape[0]
        flat = weights[:, :-1].permute(1, 0, 2).reshape(self.concept_count, p * self.class_count)
        logits = (part @ flat).add_(weights[:, -1].reshape(-1)).view(-1, p, self.class_count)
        logits -= logits.amax(dim=2, keepdim=True)
        at_label = logits.gather(2, labels_of_rows.view(-1, 1, 1).expand(-1, p, 1)).squeeze(2)
        probabilities = logits.exp_()
        total = probabilities.sum(dim=2)
        probabilities /= total.unsqueeze(2)
        return probabilities, at_label - total.log()

    def _chunks(self, problems: int) -> list[tuple[int, int]]:
        rows = max(1, CHUNK_ELEMENTS // max(self.concept_count, problems * self.class_count))
        return [(start, min(start + rows, self.n)) for start in range(0, self.n, rows)]

    def value_and_gradient(self, weights: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (p,) float64 and gradient (p, M + 1, C) of the active problems at `weights`."""
        loss = torch.zeros(len(active), dtype=torch.float64, device=self.device)
        gradient = torch.empty_like(weights)
        for group, a, b in self._spans(active):
            slope = torch.zeros(self.concept_count, (b - a) * self.class_count, device=self.device)
            offset = torch.zeros((b - a) * self.class_count, device=self.device)
            for start, stop in self._chunks(b - a):
                part, transposed = self._rows(group, start, stop)
                residual, likelihood = self._probabilities(weights[a:b], part, self.y[start:stop])
                loss[a:b] -= likelihood.sum(dim=0, dtype=torch.float64) / self.n
                labels = self.y[start:stop].view(-1, 1, 1).expand(-1, b - a, 1)
                residual.scatter_add_(2, labels, torch.full_like(likelihood, -1.0).unsqueeze(2))
                flat = residual.view(stop - start, -1)
                slope += transposed @ flat
                offset += flat.sum(dim=0)
            gradient[a:b, :-1] = slope.view(self.concept_count, b - a, self.class_count).permute(1, 0, 2) / self.n
            gradient[a:b, -1] = offset.view(b - a, self.class_count) / self.n
        strengths = self.strengths[active]
        loss += 0.5 * strengths * weights[:, :-1].square().sum(dim=(1, 2), dtype=torch.float64)
        gradient[:, :-1] += strengths.view(-1, 1, 1) * weights[:, :-1]
        return loss, gradient

    def curvature(self, weights: Tensor, active: Tensor) -> Tensor:
        """Inverse of a positive-definite stand-in for the Hessian, shared by the classes: (p, M + 1, M + 1).

        Each row weighs mean over classes of p_c (1 - p_c), the class-averaged diagonal block of the exact Hessian
        (Böhning 1992 bounds it by its value at uniform probabilities, which is where a cold start stands).
        """
        size = self.concept_count + 1
        hessian = torch.zeros(len(active), size, size, dtype=torch.float64, device=self.device)
        for group, a, b in self._spans(active):
            for start, stop in self._chunks(b - a):
                part = self.sources[group.source].rows(start, stop, group.kept)
                probabilities, _ = self._probabilities(weights[a:b], part, self.y[start:stop])
                spread = (1 - probabilities.square().sum(dim=2)) / self.class_count  # (rows, p)
                for j in range(b - a):
                    weighted = part * spread[:, j : j + 1]
                    hessian[a + j, :-1, :-1] += weighted.T @ part
                    edge = weighted.sum(dim=0)
                    hessian[a + j, -1, :-1] += edge
                    hessian[a + j, :-1, -1] += edge
                    hessian[a + j, -1, -1] += spread[:, j].sum()
        hessian /= self.n
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        floor = 1e-7 * diagonal.mean(dim=1, keepdim=True) + 1e-12  # the bias has no L2 term of its own
        diagonal += floor
        diagonal[:, :-1] += self.strengths[active].double().unsqueeze(1)
        return torch.cholesky_inverse(torch.linalg.cholesky(hessian)).float()


def _compress(matrix: Tensor) -> Tensor:
    """Compressed sparse rows, with 32-bit indices as the CPU's sparse kernels prefer."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        rows = matrix.to_sparse_csr()
        return torch.sparse_csr_tensor(
            rows.crow_indices().int(), rows.col_indices().int(), rows.values(), size=matrix.shape, check_invariants=False
        )


def fit_heads(
    sources: Sequence[Source],
    groups: Sequence[Group],
    y: Tensor,
    class_count: int,
    settings: SolverSettings,
    *,
    start: Tensor | None = None,
    drop: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Heads:
    """Solve every problem to `settings.tolerance` in one stack.

    Parameters
    ----------
    sources : activation matrices (n, M), all of one shape
    groups : which source, how many kept, which strengths λ (loss is *mean* cross-entropy + λ/2 ‖W‖²,
        so scikit-learn's C is 1 / (n λ))
    y : (n,) int64 in 0..class_count-1
    start : (P, M + 1, C) starting weights; zeros otherwise
    drop : called as drop(solved, weights) with the mask of problems solved so far; returns the mask of those not worth finishing
    """
    objective = LogisticObjective(sources, groups, y, class_count)
    if start is None:
        start = torch.zeros(objective.shape, device=objective.device)
    end = minimise(objective, start.float(), settings, drop)
    return Heads(objective.groups, end.point, end.value, end.gradient_norm, end.evaluations)


def predict(source: Source, kept: int, weights: Tensor) -> Tensor:
    """Logits (n, p, C) of p heads (p, M + 1, C) on one sparsified matrix."""
    n, concept_count = source.activations.shape
    p, _, class_count = weights.shape
    flat = weights[:, :-1].permute(1, 0, 2).reshape(concept_count, -1)
    return torch.addmm(weights[:, -1].reshape(-1), source.rows(0, n, kept), flat).view(n, p, class_count)
