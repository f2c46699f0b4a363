"""Choose the L2 strength of every node of a curve, and further nodes where the curve bends, on validation rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.heads.model_selection import TrainingRows, select_strengths
from iis_engine.heads.sparse_blocks import Source
from iis_engine.scoring.curve import worst_panels
from iis_engine.scoring.measurement import constant_prediction


class StrengthSelection:
    """The L2 strength of every node, selected on the first library (METHOD §3), and where the curve on the validation rows bends."""

    def __init__(self, train: Source, data: TrainingRows) -> None:
        self._train = train
        self._data = data
        self._selected: dict[int, _Selected] = {}
        self.evaluations = 0

    def select(self, nodes: Sequence[int]) -> Tensor:
        """λ of each node: (K,)."""
        found = select_strengths(self._train, nodes, self._data, start=self.weights(nodes) if self._selected else None)
        self.evaluations += found.evaluations
        for place, kept in enumerate(nodes):
            self._selected[kept] = _Selected(
                weights=found.weights[place], accuracy=float(found.validation_accuracy[place]), at_end=bool(found.at_end[place])
            )
        return found.l2_strengths

    def weights(self, nodes: Sequence[int]) -> Tensor:
        """Starting weights of each node, those of the nearest selected node: (K, M + 1, C)."""
        return torch.stack([self._selected[min(self._selected, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])

    def refined_nodes(self, baseline_accuracy: float) -> list[int]:
        """The nodes of the next round: in the panels with the largest quadrature error of ARR; none where it is small enough.

        Validation rows decide, since nodes chosen by test accuracy would follow its noise.

        Parameters
        ----------
        baseline_accuracy : of h on the validation rows
        """
        if not bool(self._data.validation.any()):
            return []
        validation = self._data.validation
        accuracy = {kept: one.accuracy for kept, one in self._selected.items()}
        # s = 1: only the best constant prediction is left
        accuracy[0] = float(constant_prediction(self._data.y[~validation], self._data.y[validation]).double().mean())
        return worst_panels(accuracy, baseline_accuracy, protocols.NODES_PER_ROUND, protocols.QUADRATURE_TARGET)

    @property
    def nodes_at_end(self) -> int:
        """Number of nodes at which the last strength of the widened grid wins."""
        return sum(one.at_end for one in self._selected.values())


@dataclass(frozen=True)
class _Selected:
    """The selected head of one node on the fitting rows.

    Attributes
    ----------
    weights : (M + 1, C)
    accuracy : on the validation rows
    at_end : whether its strength is the last of the widened grid
    """

    weights: Tensor
    accuracy: float
    at_end: bool
