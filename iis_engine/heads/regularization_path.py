"""Comparison of L2 strengths by validation loss while their heads are solved, so that fits no longer needed end early."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.logistic import predict
from iis_engine.heads.one_vs_rest import binary_log_losses
from iis_engine.heads.sparse_blocks import Group, Source

CERTAINTY = 8.0  # changes of a loss that its prediction at convergence may be off by, per round that is left


class RegularizationPath:
    """Selection of λ per group by validation log-loss, from the strongest λ to the weakest until the loss first rises.

    The loss is smooth where accuracy is a staircase, so the selection does not depend on the solver's last digits. Only the selected
    strength has to be solved. Another one is stopped as soon as its comparisons are certain: its loss at convergence is taken to lie within
    `CERTAINTY` times its last changes of the present one.

    Parameters
    ----------
    validation : activations of the validation rows
    groups : G groups, each with the same L strengths, strongest first
    y : labels of the validation rows
    tolerance : largest absolute gradient entry at which a problem is solved
    """

    def __init__(self, validation: Source, groups: Sequence[Group], y: Tensor, tolerance: float) -> None:
        self.validation = validation
        self.groups = groups
        self.y = y
        self.tolerance = tolerance
        self.length = len(groups[0].strengths)
        self.loss = torch.full((len(groups), self.length), torch.nan)  # (G, L), of the solved ones
        self._passing = torch.full_like(self.loss, torch.inf)  # of the others when they were last watched
        self._norms = torch.full_like(self.loss, torch.inf)  # of their gradients then
        self._rises = torch.zeros(len(groups), self.length - 1, dtype=torch.bool)  # the next weaker strength does not lower the loss enough
        self._falls = self._rises.clone()  # it does

    def watch(self, solved: Tensor, points: Tensor, ahead: Tensor, norms: Tensor) -> Tensor:
        """Mask (G·L,) of the problems that are no longer needed."""
        newly = solved.cpu().view_as(self.loss) & self.loss.isnan()
        self.loss = torch.where(newly, self._losses(newly, points), self.loss)
        low, high = self.loss.nan_to_num(-torch.inf), self.loss.nan_to_num(torch.inf)
        open_ones = self.loss.isnan() & self._needed()
        if bool(open_ones.any()):
            now, predicted = self._losses(open_ones, points), self._losses(open_ones, ahead)
            norms = norms.cpu().view_as(self.loss)
            rate = (self._norms / norms).log().clamp(min=1e-9)
            rounds = ((norms / self.tolerance).log() / rate).clamp(min=1)
            change = CERTAINTY * rounds * torch.maximum((predicted - now).abs(), (now - self._passing).abs())
            self._passing, self._norms = torch.where(open_ones, now, self._passing), torch.where(open_ones, norms, self._norms)
            low, high = torch.where(open_ones, now - change, low), torch.where(open_ones, now + change, high)
        self._compare(low, high)
        return ~self._needed().flatten().to(solved.device)

    def select(self, weights: Tensor) -> list[int]:
        """Place of the first local minimum of the loss from the strong end, per group.

        A strength that ran out of evaluations is measured as it stands.
        """
        undecided = self.loss.isnan() & self._needed()
        loss = torch.where(undecided, self._losses(undecided, weights), self.loss)
        self._compare(loss.nan_to_num(-torch.inf), loss.nan_to_num(torch.inf))
        return [rises.index(True) if True in rises else self.length - 1 for rises in self._rises.tolist()]

    def _compare(self, low: Tensor, high: Tensor) -> None:
        """Record the comparisons of neighbours that are certain for losses between `low` and `high` (G, L)."""
        known = self._rises | self._falls
        self._rises |= ~known & (low[:, 1:] > high[:, :-1] * (1 - protocols.SMALLEST_GAIN))
        self._falls |= ~known & (high[:, 1:] <= low[:, :-1] * (1 - protocols.SMALLEST_GAIN))

    def _needed(self) -> Tensor:
        """Strengths that may be selected or whose comparisons are open: (G, L)."""
        no, yes = (torch.full((len(self.groups), 1), value) for value in (False, True))
        beyond = torch.cat([no, self._rises.cumsum(dim=1) > 0], dim=1)
        falls_after = torch.cat([self._falls, no], dim=1)
        known_before = torch.cat([yes, self._rises | self._falls], dim=1)
        return ~beyond & ~(falls_after & known_before)

    def _losses(self, wanted: Tensor, weights: Tensor) -> Tensor:
        """Validation log-loss of the problems that `wanted` (G, L) marks, NaN for the others."""
        losses = torch.full_like(self.loss, torch.nan)
        for g in wanted.any(dim=1).nonzero().flatten().tolist():
            places = wanted[g].nonzero().flatten()
            logits = predict(self.validation, self.groups[g].kept, weights[(g * self.length + places).to(weights.device)])
            losses[g, places] = _log_losses(logits, self.y).float().cpu()
        return losses


def _log_losses(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy (p,) float64 of p heads with logits (n, p, C); of multi-label data the mean over rows and labels."""
    if y.ndim > 1:
        return binary_log_losses(logits, y)
    labels = y.unsqueeze(1).expand(-1, logits.shape[1])
    return torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none").double().mean(dim=0)
