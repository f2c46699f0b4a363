"""Several layers of one network as one backbone: their representations side by side, from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from iis_engine.backbones.backbone import Backbone, representation_digest
from iis_engine.backbones.torch_backbone import TorchBackbone


class LayerSweep(Backbone):
    """The representations of backbones that share one network, concatenated in their order.

    Parameters
    ----------
    backbones : the first with a named layer, the others from its `at_layer`
    """

    def __init__(self, backbones: Sequence[TorchBackbone]) -> None:
        first = backbones[0]
        self.backbones = tuple(backbones)
        self.num_features = sum(one.num_features for one in backbones)
        self.transform, self.device, self.notes = first.transform, first.device, first.notes
        self.digest = representation_digest([], {"layers": [one.digest for one in backbones]})

    def embed(self, batch: Tensor) -> Tensor:
        """Compute the representations of preprocessed images -> (n, d), d the sum over the layers."""
        return torch.cat(self.backbones[0].embed_layers(batch, self.backbones), dim=1)

    def feature_map(self, batch: Tensor) -> Tensor | None:
        """Return None: heat maps are read off the single layers."""
        return None

    def describe(self) -> dict[str, Any]:
        """Return the descriptions of the single layers."""
        return {"layers": [one.describe() for one in self.backbones]}
