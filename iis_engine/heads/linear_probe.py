"""h: the linear probe of the `exact` protocol on the whole representation. It divides every ARR (eq. 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.host_rows import HostSource
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, select_strengths, solve_at
from iis_engine.heads.sparse_blocks import ROWS_AT_ONCE, Source


@dataclass(frozen=True)
class Standardisation:
    """Columns to zero mean and unit deviation over the training rows, so that h does not depend on the features' scale.

    Attributes
    ----------
    mean, scale : (d,) float64; the scale of a constant column is zero
    """

    mean: Tensor
    scale: Tensor

    @staticmethod
    def of(X_train: Tensor) -> Standardisation:
        """The standardisation of training rows (n, d)."""
        count = 0
        mean, squares, largest = (torch.zeros(X_train.shape[1], dtype=torch.float64, device=X_train.device) for _ in range(3))
        for rows in X_train.split(ROWS_AT_ONCE):  # in one pass (Chan et al. 1979)
            exact = rows.double()
            of_rows = exact.mean(dim=0)
            shift = of_rows - mean
            squares += (exact - of_rows).square().sum(dim=0) + shift.square() * (count * len(rows) / (count + len(rows)))
            mean += shift * (len(rows) / (count + len(rows)))
            count += len(rows)
            largest = torch.maximum(largest, exact.abs().amax(dim=0))
        deviation = (squares / count).sqrt()
        constant = deviation <= 1e-9 * largest
        return Standardisation(mean, torch.where(constant, 0.0, 1 / torch.where(constant, 1.0, deviation)))

    def to(self, device: torch.device) -> Standardisation:
        """The same numbers on a device."""
        return Standardisation(self.mean.to(device), self.scale.to(device))

    def __call__(self, X: Tensor) -> Tensor:
        """Standardised rows (n, d) float32."""
        return torch.cat([((rows.double() - self.mean) * self.scale).float() for rows in X.split(ROWS_AT_ONCE)])

    def undone(self, head: Tensor) -> Tensor:
        """The head (d + 1, C) float64 that gives on raw rows the logits that `head` gives on standardised ones."""
        weights = self.scale.unsqueeze(1) * head[:-1].double()
        return torch.cat([weights, head[-1:].double() - self.mean.unsqueeze(0) @ weights])


@dataclass(frozen=True)
class LinearProbe:
    """h, solved to tolerance.

    Attributes
    ----------
    standardisation : of its inputs
    weights : (1, d + 1, C) float32 on standardised rows, the last row being the bias
    l2_strength : λ
    validation_accuracy : of the selected head on the validation rows, which it was not fitted to
    gradient_norm, evaluations : as in `SolvedHeads`
    """

    standardisation: Standardisation
    weights: Tensor
    l2_strength: float
    validation_accuracy: float
    gradient_norm: float
    evaluations: int

    @property
    def head(self) -> Tensor:
        """(d + 1, C) float64 on representations as they are."""
        return self.standardisation.undone(self.weights[0])

    def logits(self, X: Tensor) -> Tensor:
        """Logits (n, C) float32 of representations (n, d), which may be in host memory."""
        device = self.weights.device
        parts = (self.standardisation(rows.to(device)) for rows in X.split(ROWS_AT_ONCE))
        return torch.cat([predict(Source(rows, None), X.shape[1], self.weights).squeeze(1) for rows in parts])


def solve_linear_probe(X: Tensor, data: TrainingRows, *, weakest: float = 0.0, in_host_memory: bool = False) -> LinearProbe:
    """Solve h on representations X (n, d) of the training rows.

    Parameters
    ----------
    in_host_memory : whether X is on the CPU and too large for the device of `data`, so that its rows are read in blocks
    weakest : h is solved at this L2 strength where a weaker one is selected
    """
    standardisation = Standardisation.of(X).to(data.y.device)
    source = HostSource(X, None, data.y.device, standardisation) if in_host_memory else Source(standardisation(X), None)
    nodes = [X.shape[1]]
    selected = select_strengths(source, nodes, data, tolerance=protocols.BASELINE_TOLERANCE)
    strengths = selected.l2_strengths.clamp(min=weakest)
    solved = solve_at(source, nodes, strengths, data, start=selected.weights, tolerance=protocols.BASELINE_TOLERANCE)
    return LinearProbe(
        standardisation=standardisation,
        weights=solved.weights,
        l2_strength=float(strengths[0]),
        validation_accuracy=float(selected.validation_accuracy[0]),
        gradient_norm=solved.gradient_norm,
        evaluations=selected.evaluations + solved.evaluations,
    )
