"""Measurement of a curve before any statistic: the correctness of each test image at each number of kept concepts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.libraries.calibration import Calibration

TENSORS = ("correct", "baseline_correct", "constant_correct", "heads", "strengths", "baseline")
CALIBRATION_TENSORS = ("centre", "means", "deviations")


@dataclass(frozen=True)
class Measurement:
    """Correctness on the test images, in canonical order.

    Attributes
    ----------
    kept : K numbers of kept concepts, falling
    correct : (S, K, n) float32 in [0, 1], per library seed; fractions where an evaluation is averaged over noise draws
    baseline_correct : (n,) of h ∘ f
    constant_correct : (n,) of the best constant prediction, the majority class of the training split
    heads : (K, M + 1, C) of the first library, the last row being the bias; empty in the reference protocol, whose heads
        need the learned affine before the threshold and are not stored
    strengths : (S, K) selected L2 strengths (exact) or learning rates (reference)
    baseline : (d + 1, C) float64, h on representations as they are, the last row being the bias; empty in the reference protocol
    concept_count : M
    solver : figures of the solution, such as the largest gradient entry left
    calibration : of the first library's activations; None where they have LayerNorm alone
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

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header = {"kept": list(self.kept), "concept_count": self.concept_count, "solver": self.solver}
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
            tuple(header["kept"]), concept_count=header["concept_count"], solver=header["solver"], calibration=calibration, **tensors
        )


def constant_prediction(y_train: Tensor, y_test: Tensor) -> Tensor:
    """Correctness (n,) of always predicting the majority class of the training labels (the lowest label on a tie)."""
    return (y_test == int(torch.bincount(y_train).argmax())).float()
