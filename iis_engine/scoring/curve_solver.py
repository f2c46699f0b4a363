"""Solve the sparse heads of one library seed at the nodes of its curve, and apply them to the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.heads.average_precision import average_precision_values
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_at
from iis_engine.heads.sparse_blocks import Source


@dataclass(frozen=True)
class SparseHead:
    """g_cls at one node.

    Attributes
    ----------
    weights : (M + 1, C)
    l2_strength : λ
    correct : (n_test,) float32
    """

    weights: Tensor
    l2_strength: float
    correct: Tensor


class CurveSolver:
    """The nodes of one library seed, measured round by round.

    Attributes
    ----------
    train, test : activations g_𝒞 ∘ f (eq. 3) of the training and test rows
    heads : g_cls by the number k of kept concepts
    """

    def __init__(self, train: Source, test: Source) -> None:
        self.train = train
        self.test = test
        self.heads: dict[int, SparseHead] = {}
        self.gradient_norm = 0.0
        self.evaluations = 0

    def measure(self, nodes: Sequence[int], strengths: Tensor, data: TrainingRows, y_test: Tensor, *, start: Tensor | None) -> None:
        """Solve g_cls on g_s of the training activations at each node k (eq. 4), and apply it to the test activations."""
        solved = solve_at(self.train, nodes, strengths, data, start=self._warm_start(nodes) if start is None else start)
        for place, kept in enumerate(nodes):
            logits = predict(self.test, kept, solved.weights[place : place + 1]).squeeze(1)
            self.heads[kept] = SparseHead(
                weights=solved.weights[place], l2_strength=float(solved.l2_strengths[place]), correct=correct_values(logits, y_test)
            )
        self.gradient_norm = max(self.gradient_norm, solved.gradient_norm)
        self.evaluations += solved.evaluations

    def _warm_start(self, nodes: Sequence[int]) -> Tensor | None:
        """Each new node starts at the weights of the nearest measured node: (K, M + 1, C)."""
        if not self.heads:
            return None
        return torch.stack([self.heads[min(self.heads, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])


def correct_values(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) float32 on the CPU: 1 where the class with the largest logit is the label; of multi-label data see `Measurement`."""
    if y.ndim > 1:
        return average_precision_values(logits, y)
    return (logits.argmax(dim=1) == y).float().cpu()
