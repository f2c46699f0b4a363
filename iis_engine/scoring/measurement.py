"""Measurement of a curve before any statistic: the correctness of each test image at each number of kept concepts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.libraries.calibration import Calibration
from iis_engine.specs import Quantity

TENSORS = ("correct", "baseline_correct", "constant_correct", "heads", "strengths", "baseline")
CALIBRATION_TENSORS = ("centre", "means", "deviations")


@dataclass(frozen=True)
class Measurement:
    """Correctness on the test images, in canonical order.

    Of multi-label data the values per image of the mean average precision (`average_precision_values`) are in the place of correctness:
    like that they have the measured quantity as their mean.

    Attributes
    ----------
    kept : K numbers of kept concepts, falling
    correct : (S, K, n) float32 in [0, 1], per library seed; fractions where an evaluation is averaged over noise draws
    baseline_correct : (n,) of h ∘ f
    constant_correct : (n,) of the best constant prediction, the majority class of the training split; of multi-label data of equal scores
    heads : (K, M + 1, C) of the first library, the last row being the bias; empty in the reference protocol, whose heads
        need the learned affine before the threshold and are not stored
    strengths : (S, K) selected L2 strengths (exact) or learning rates (reference)
    baseline : (d + 1, C) float64, h on representations as they are, the last row being the bias; empty in the reference protocol
    concept_count : M
    solver : figures of the solution, such as the largest gradient entry left
    calibration : of the first library's activations; None where they have LayerNorm alone
    quantity : of which the values are
    """

    kept: tuple[int, ...]
    correct: Tensor
    baseline_correct: Tensor
    constant_correct: Tensor
    heads: Tensor
    strengths: Tensor
    baseline: Tensor
    concept_count: int
    solver: dict[str, float]
    calibration: Calibration | None = None
    quantity: Quantity = "accuracy"

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header: dict[str, Any] = {"kept": list(self.kept), "concept_count": self.concept_count, "solver": self.solver}
        if self.quantity != "accuracy":
            header["quantity"] = self.quantity
        tensors = {name: getattr(self, name).cpu().contiguous() for name in TENSORS}
        if self.calibration is not None:
            tensors |= {name: getattr(self.calibration, name).contiguous() for name in CALIBRATION_TENSORS}
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> Measurement:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header, found = json.loads(file.metadata()["iis"]), set(file.keys())
            tensors = {name: file.get_tensor(name) for name in TENSORS}
            calibration = (
                Calibration(*(file.get_tensor(name) for name in CALIBRATION_TENSORS)) if found.issuperset(CALIBRATION_TENSORS) else None
            )
        return Measurement(
            tuple(header["kept"]),
            concept_count=header["concept_count"],
            solver=header["solver"],
            calibration=calibration,
            quantity=header.get("quantity", "accuracy"),
            **tensors,
        )


def constant_prediction(y_train: Tensor, y_test: Tensor) -> Tensor:
    """Correctness (n,) of always predicting the majority class of the training labels (the lowest label on a tie).

    Of multi-label data, labels (n, C), the values whose mean is the mean average precision of equal scores: the mean prevalence of the
    labels that have a positive test image.
    """
    if y_test.ndim > 1:
        return y_test[:, (y_test > 0).any(dim=0)].double().mean(dim=1).float()
    return (y_test == int(torch.bincount(y_train).argmax())).float()
