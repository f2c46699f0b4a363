"""Epoch records of a fine-tuning run, its best epoch, and early stopping. It imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class EpochRecord:
    """One finished epoch.

    Attributes
    ----------
    epoch : 1 for the first
    loss : loss_representation + λ · loss_interpretation, mean over the epoch's images (eq. 8)
    loss_representation, loss_interpretation : cross-entropy of h∘f and of g_cls∘g_s∘g_𝒞∘f during the epoch
    validation_accuracy, validation_accuracy_interpretation : of the two on the validation images, after the epoch
    learning_rate : of the epoch's last step
    seconds : wall time of the epoch, validation and a rebuilt library included
    """

    epoch: int
    loss: float
    loss_representation: float
    loss_interpretation: float
    validation_accuracy: float
    validation_accuracy_interpretation: float
    learning_rate: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return asdict(self)


def best_epoch(history: Sequence[EpochRecord]) -> int:
    """The epoch with the highest validation accuracy of h∘f; of equals the earliest."""
    return max(history, key=lambda record: (record.validation_accuracy, -record.epoch)).epoch


def is_stalled(history: Sequence[EpochRecord], patience: int | None) -> bool:
    """Whether `patience` epochs have passed since the best one."""
    return patience is not None and bool(history) and history[-1].epoch - best_epoch(history) >= patience
