"""Combined: libraries side by side; activations are concatenated and a concept keeps its origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary


def combine(parts: Sequence[ConceptLibrary]) -> ConceptLibrary:
    """Join libraries of one representation space, in order; at most one of them has text concepts."""
    words = next((part.words for part in parts if part.words is not None), None)
    return ConceptLibrary(
        "combined",
        torch.cat([part.vectors for part in parts]),
        tuple(origin for part in parts for origin in part.origins),
        tuple(row for part in parts for row in part.exemplars),
        None if words is None else torch.cat([_or_fill(part.means, 0.0, len(part)) for part in parts]),
        None if words is None else torch.cat([_or_fill(part.deviations, 1.0, len(part)) for part in parts]),
        words,
    )


def _or_fill(values: Tensor | None, filling: float, count: int) -> Tensor:
    return torch.full((count,), filling, dtype=torch.float64) if values is None else values
