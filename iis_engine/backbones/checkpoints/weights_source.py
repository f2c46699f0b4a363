"""Source of a network's weights, which the loaders of each family read to choose preprocessing and activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iis_engine.backbones.checkpoints.state_dicts import StateDict


@dataclass(frozen=True)
class WeightsSource:
    """Source of a network's weights.

    Attributes
    ----------
    pretrained : tag of published weights to download; None for a file or initial weights
    weights_of : tag of the published weights that the file has or was trained from, if the user named it
    state_dicts : content of the file; empty without one
    """

    pretrained: str | None = None
    weights_of: str | None = None
    state_dicts: Sequence[StateDict] = ()

    @property
    def tag(self) -> str | None:
        """The published weights whose preprocessing and activation apply, or None if they are unknown."""
        return self.pretrained or self.weights_of
