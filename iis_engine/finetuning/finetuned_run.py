"""Result of a fine-tuning run: its history, the weights of the best epoch and h."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.checkpoint import write_atomically
from iis_engine.finetuning.history import EpochRecord
from iis_engine.finetuning.start import head_accuracy


@dataclass(frozen=True)
class FinetunedRun:
    """The best epoch of a run.

    Attributes
    ----------
    history : one record per epoch
    best_epoch : the epoch with the highest validation accuracy of h∘f, the earliest of equals
    stopped_early : whether `patience` ended the run
    weights : of the whole network at the best epoch, under the architecture's own keys
    head : h at the best epoch, (d + 1, C), the last row being the bias
    warnings : on what its numbers depend
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    weights: Mapping[str, Tensor]
    head: Tensor
    warnings: tuple[str, ...]

    def accuracy(self, features: FeatureSet) -> float:
        """Test accuracy of the trained h; `features` are those of the network with `weights`."""
        return head_accuracy(self.head, features.X_test, features.y_test)

    def save(self, path: Path) -> None:
        """Write a safetensors checkpoint for `load_backbone` with the same BackboneSpec, less its pretrained tag.

        Its classifier is h where it has one output per class of the data set, else the original one.
        """
        write_atomically(path, lambda partial: save_file(dict(self.weights), partial))
