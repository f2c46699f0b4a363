"""One-vs-rest heads of multi-label data: for each label a binary logistic regression on the same kept activations.

The problems of a node share the L2 strength and the solver's stack; the objective is their sum, so that each is at its own optimum.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from iis_engine.heads.average_precision import mean_average_precision
from iis_engine.heads.logistic import LogisticObjective


class OneVsRestObjective(LogisticObjective):
    """Sum over the labels of mean binary cross-entropy + λ/2 ‖w‖², for all problems of `groups`; the biases are not penalised.

    The labels `y` are a matrix (n, C) of 0 and 1.
    """

    def value_and_gradient(self, weights: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """Loss (p,) float64 and gradient (p, C, M + 1) of the active problems at `weights`."""
        places = self._place(active)
        spread, biases = self._spread(weights, places)
        loss = torch.zeros(len(spread), self.slots, dtype=torch.float64, device=self.device)
        slope, offset = torch.zeros_like(spread), torch.zeros_like(biases)
        for groups, rows, block in self.blocks:
            logits = block.times(spread[groups]).add_(biases[groups]).view(slope[groups].shape[0], self.slots, self.class_count, -1)
            labels = self.y[rows].T.to(logits.dtype)  # (C, rows)
            loss[groups] += (functional.softplus(logits) - logits * labels).sum(dim=(2, 3), dtype=torch.float64)
            flat = logits.sigmoid_().sub_(labels).view(len(logits), -1, logits.shape[3])
            slope[groups] += block.transposed_times(flat)
            offset[groups] += flat.sum(dim=2, keepdim=True)
        gradient = torch.cat([slope, offset], dim=2).view(-1, self.class_count, self.concept_count + 1)
        gradient = gradient[places].div_(self.n)
        strengths = self.strengths[active]
        penalty = 0.5 * strengths * weights[:, :, :-1].square().sum(dim=(1, 2), dtype=torch.float64)
        gradient[:, :, :-1] += strengths.view(-1, 1, 1) * weights[:, :, :-1]
        return loss.view(-1)[places] / self.n + penalty, gradient

    def _spreads(self, logits: Tensor) -> Tensor:
        """Mean over the labels of p (1 - p): (slots, rows)."""
        probabilities = logits.sigmoid()
        return (probabilities * (1 - probabilities)).mean(dim=1)


def binary_log_losses(logits: Tensor, y: Tensor) -> Tensor:
    """Mean over rows and labels of the binary cross-entropy of p heads: (p,) float64.

    Parameters
    ----------
    logits : (n, p, C)
    y : (n, C) of 0 and 1
    """
    labels = y.unsqueeze(1).to(logits.dtype)
    return (functional.softplus(logits) - logits * labels).double().mean(dim=(0, 2))


def retained_quantity(logits: Tensor, y: Tensor) -> float:
    """Accuracy of logits (n, C) for labels (n,); of multi-label data, with labels (n, C), the mean average precision."""
    return mean_average_precision(logits, y) if y.ndim > 1 else float((logits.argmax(dim=1) == y).double().mean())
