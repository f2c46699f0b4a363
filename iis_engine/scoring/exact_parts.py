"""Parts of an `exact` measurement that are computed apart: the choice of strengths, and the curve of each library seed; and their join."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.libraries.calibration import Calibration
from iis_engine.scoring.measurement import Measurement
from iis_engine.specs import Quantity

_TENSORS = ("baseline_correct", "constant_correct", "baseline")
_CALIBRATION = ("centre", "means", "deviations")


@dataclass(frozen=True)
class Round:
    """Nodes that are measured together.

    Attributes
    ----------
    nodes : K numbers of kept concepts
    strengths : (K,) λ
    weights : (K, M + 1, C) float32, the selected heads of the first library, at which its final heads start
    """

    nodes: tuple[int, ...]
    strengths: Tensor
    weights: Tensor


@dataclass(frozen=True)
class StrengthChoice:
    """Everything that the curves of all library seeds share: h, and nodes and strengths, chosen on the first library.

    Attributes
    ----------
    rounds : the nodes of the paper and at few concepts, then those where the curve bends
    baseline_correct, constant_correct, baseline, calibration, quantity : as in `Measurement`
    solver : figures of h and of the choice: `largest_gradient`, `evaluations`, `baseline_strength`, `nodes_at_end_of_grid`
    """

    rounds: tuple[Round, ...]
    baseline_correct: Tensor
    constant_correct: Tensor
    baseline: Tensor
    solver: dict[str, float]
    calibration: Calibration | None
    quantity: Quantity

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header = {"rounds": [one.nodes for one in self.rounds], "solver": self.solver, "quantity": self.quantity}
        tensors = {name: getattr(self, name) for name in _TENSORS}
        if self.calibration is not None:
            tensors |= {name: getattr(self.calibration, name) for name in _CALIBRATION}
        for number, one in enumerate(self.rounds):
            tensors |= {f"strengths.{number}": one.strengths, f"weights.{number}": one.weights}
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> StrengthChoice:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            header, names = json.loads(file.metadata()["iis"]), set(file.keys())
            rounds = tuple(
                Round(tuple(nodes), file.get_tensor(f"strengths.{number}"), file.get_tensor(f"weights.{number}"))
                for number, nodes in enumerate(header["rounds"])
            )
            calibration = Calibration(*(file.get_tensor(name) for name in _CALIBRATION)) if names.issuperset(_CALIBRATION) else None
            tensors = {name: file.get_tensor(name) for name in _TENSORS}
        return StrengthChoice(rounds, solver=header["solver"], calibration=calibration, quantity=header["quantity"], **tensors)


@dataclass(frozen=True)
class SeedCurve:
    """The curve of one library seed.

    Attributes
    ----------
    correct : (K, n) float32, by falling number of kept concepts
    heads : (K, M + 1, C) of the first library; empty for the others
    strengths : (K,) λ
    concept_count : M
    gradient_norm : largest absolute gradient entry left in any head
    evaluations : joint loss-and-gradient evaluations
    """

    correct: Tensor
    heads: Tensor
    strengths: Tensor
    concept_count: int
    gradient_norm: float
    evaluations: int

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        header = {"concept_count": self.concept_count, "gradient_norm": self.gradient_norm, "evaluations": self.evaluations}
        tensors = {name: getattr(self, name).cpu().contiguous() for name in ("correct", "heads", "strengths")}
        save_file(tensors, path, metadata={"iis": json.dumps(header)})

    @staticmethod
    def load(path: Path) -> SeedCurve:
        """Read a file written by `save`."""
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in ("correct", "heads", "strengths")}
            return SeedCurve(**tensors, **json.loads(file.metadata()["iis"]))


def joined(choice: StrengthChoice, curves: Sequence[SeedCurve]) -> Measurement:
    """The measurement that `measure_exact` makes of the same libraries, to the last digit.

    Parameters
    ----------
    curves : of all library seeds, the first one first
    """
    return Measurement(
        kept=tuple(sorted((node for one in choice.rounds for node in one.nodes), reverse=True)),
        correct=torch.stack([curve.correct for curve in curves]),
        baseline_correct=choice.baseline_correct,
        constant_correct=choice.constant_correct,
        heads=curves[0].heads,
        strengths=torch.stack([curve.strengths for curve in curves]),
        baseline=choice.baseline,
        concept_count=curves[0].concept_count,
        solver=choice.solver
        | {
            "largest_gradient": max(choice.solver["largest_gradient"], *(curve.gradient_norm for curve in curves)),
            "evaluations": choice.solver["evaluations"] + sum(curve.evaluations for curve in curves),
        },
        calibration=choice.calibration,
        quantity=choice.quantity,
    )
