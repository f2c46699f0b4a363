"""L1-regularised multinomial logistic regression along a path of strengths, by accelerated proximal gradient steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STRENGTH_RATIO = 0.7  # of one strength to the one before
SMALLEST_STRENGTH = 0.01  # of the strength from which all weights are zero; glmnet's default for more columns than rows
TOLERANCE = 0.01  # of λ: largest entry of the gradient mapping at which a head is solved
BISECTIONS = 4  # which locate the strength of a count to 2 %
MOST_STEPS = 500  # at one strength
GROWTH, RELAXATION = 2.0, 0.95  # of the curvature estimate after a refused and an accepted step


@dataclass(frozen=True)
class L1Head:
    """The solution at one strength.

    Attributes
    ----------
    strength : λ
    weights : (M, C) float32
    bias : (C,) float32, not penalised
    """

    strength: float
    weights: Tensor
    bias: Tensor

    @property
    def nonzero(self) -> int:
        """Number of non-zero weights."""
        return int((self.weights != 0).sum())


def l1_heads(X: Tensor, y: Tensor, class_count: int, weight_counts: Sequence[int]) -> list[L1Head]:
    """Minimise mean cross-entropy + λ Σ|W|; per count the head of the smallest λ found before its number of non-zero weights exceeds it.

    λ falls along a path from the strength at which all weights are zero, each head starting at the one before; where the number
    exceeds a count, λ is bisected. A path that ends before gives its last head.

    Parameters
    ----------
    X : (n, M) float32, columns of unit deviation
    y : (n,) int64
    weight_counts : rising numbers of non-zero weights
    """
    descent = _Descent(X, y, class_count)
    path = [descent.head(float(descent.slope(descent.logits)[0].abs().max()))]
    while path[-1].nonzero <= weight_counts[-1] and path[-1].strength > SMALLEST_STRENGTH * path[0].strength:
        path.append(descent.solve(path[-1].strength * STRENGTH_RATIO))
    found: list[L1Head] = []
    for count in weight_counts:
        above = next((place for place, head in enumerate(path) if head.nonzero > count), None)
        found.append(path[-1] if above is None else _bisected(descent, path[above - 1], path[above], count))
    return found


def _bisected(descent: _Descent, fewer: L1Head, more: L1Head, count: int) -> L1Head:
    """The head of the smallest strength between two that has at most `count` non-zero weights."""
    for _ in range(BISECTIONS):
        if fewer.nonzero == count:
            break
        descent.start_at(fewer)
        between = descent.solve((fewer.strength * more.strength) ** 0.5)
        fewer, more = (between, more) if between.nonzero <= count else (fewer, between)
    return fewer


class _Descent:
    """FISTA with backtracking and restart (Beck and Teboulle 2009; O'Donoghue and Candès 2015).

    The logits of an extrapolated point are extrapolated logits, so that a step costs two products with X.

    Attributes
    ----------
    weights, bias, logits : of the current point
    curvature : estimate of the Lipschitz constant of the gradient
    """

    def __init__(self, X: Tensor, y: Tensor, class_count: int) -> None:
        self.X = X
        self.y = y
        self.labels = torch.nn.functional.one_hot(y, class_count).float()
        self.weights = torch.zeros(X.shape[1], class_count, device=X.device)
        shares = (self.labels.double().mean(dim=0)).clamp_min(1 / (2 * len(y)))
        self.bias = shares.log().float()  # the solution at the largest strength
        self.logits = self.bias.expand(len(y), -1)
        self.curvature = 1.0

    def loss(self, logits: Tensor) -> float:
        """Mean cross-entropy."""
        return float(torch.nn.functional.cross_entropy(logits, self.y))

    def slope(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the loss by weights (M, C) and bias (C,)."""
        residual = (logits.softmax(dim=1) - self.labels) / len(self.y)
        return self.X.T @ residual, residual.sum(dim=0)

    def head(self, strength: float) -> L1Head:
        """The current point as the solution at one strength."""
        return L1Head(strength, self.weights, self.bias)

    def start_at(self, head: L1Head) -> None:
        """Move to an earlier solution."""
        self.weights, self.bias = head.weights, head.bias
        self.logits = torch.addmm(head.bias, self.X, head.weights)

    def solve(self, strength: float) -> L1Head:
        """Minimise at one strength."""
        weights, bias, logits = self.weights, self.bias, self.logits  # extrapolated point
        momentum = 1.0
        for _ in range(MOST_STEPS):
            before = (self.weights, self.bias, self.logits)
            moved = self._step(weights, bias, logits, strength)
            if max(float((self.weights - weights).abs().max()), float((self.bias - bias).abs().max())) * moved <= TOLERANCE * strength:
                break
            uphill = ((weights - self.weights) * (self.weights - before[0])).sum() + ((bias - self.bias) * (self.bias - before[1])).sum()
            if float(uphill) > 0:
                momentum = 1.0
            grown = (1 + (1 + 4 * momentum * momentum) ** 0.5) / 2
            share = (momentum - 1) / grown
            weights, bias, logits = (
                torch.lerp(old, new, 1 + share) for old, new in zip(before, (self.weights, self.bias, self.logits), strict=True)
            )
            momentum = grown
        return self.head(strength)

    def _step(self, weights: Tensor, bias: Tensor, logits: Tensor, strength: float) -> float:
        """One proximal gradient step from a point; return the curvature that it used."""
        value = self.loss(logits)
        by_weights, by_bias = self.slope(logits)
        while True:
            target = weights - by_weights / self.curvature
            new = torch.nn.functional.softshrink(target, strength / self.curvature)
            new_bias = bias - by_bias / self.curvature
            new_logits = torch.addmm(new_bias, self.X, new)
            step, step_bias = new - weights, new_bias - bias
            model = value + float((by_weights * step).sum() + (by_bias * step_bias).sum())
            model += self.curvature / 2 * float(step.square().sum() + step_bias.square().sum())
            if self.loss(new_logits) <= model + 1e-6 * abs(value) + 1e-9:
                break
            self.curvature *= GROWTH
        used = self.curvature
        self.weights, self.bias, self.logits = new, new_bias, new_logits
        self.curvature *= RELAXATION
        return used
