"""Place the features and activations of a score on the device, or leave them in host memory where they do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.device_plan import HeadPlan, HeadSizes, device_budget_bytes, plan_heads
from iis_engine.heads.host_rows import HostSource
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.library import ROWS_AT_ONCE, ConceptLibrary


@dataclass(frozen=True)
class Placement:
    """The plan of a measurement, carried out.

    Attributes
    ----------
    plan : what is kept on the device
    device : of the heads
    """

    plan: HeadPlan
    device: torch.device

    @staticmethod
    def of(features: FeatureSet, libraries: Sequence[ConceptLibrary], device: torch.device, device_bytes: int | None) -> Placement:
        """Plan the measurement of libraries on features.

        Parameters
        ----------
        device_bytes : memory of the device; by default the free memory of a GPU, unbounded on a CPU
        """
        sizes = HeadSizes(
            train_rows=len(features.X_train),
            test_rows=len(features.X_test),
            dimension=features.X_train.shape[1],
            class_count=features.class_count,
            concept_count=len(libraries[0]),
            library_seeds=len(libraries),
            is_multi_label=features.is_multi_label,
        )
        return Placement(plan_heads(sizes, device_budget_bytes(device) if device_bytes is None else device_bytes), device)

    def place(self, X: Tensor) -> Tensor:
        """Representations (n, d), on the device if the plan keeps them there."""
        return X.to(self.device) if self.plan.features_on_device else X

    def source(self, library: ConceptLibrary, X: Tensor) -> Source:
        """Activations g_𝒞 of representations (n, d), computed on the device, with the rank of each within its row."""
        if self.plan.features_on_device:
            return Source.of(library.activations(X))
        kept_on = self.device if self.plan.activations_on_device else torch.device("cpu")
        activations = torch.cat([library.activations(rows.to(self.device)).to(kept_on) for rows in X.split(ROWS_AT_ONCE)])
        return Source.of(activations) if self.plan.activations_on_device else HostSource.thresholded(activations, self.device)
