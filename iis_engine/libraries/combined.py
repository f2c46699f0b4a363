"""Combined: libraries side by side; activations are concatenated and a concept keeps its origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary


def combine(parts: Sequence[ConceptLibrary]) -> ConceptLibrary:
    """Join libraries of one representation space, in order; at most one of them has text concepts."""
    words = next((part.words for part in parts if part.words is not None), None)
    one_by_one = any(part.deviations is not None for part in parts)
    return ConceptLibrary(
        "combined",
        torch.cat([part.vectors for part in parts]),
        tuple(origin for part in parts for origin in part.origins),
        tuple(row for part in parts for row in part.exemplars),
        torch.cat([_or_none(part.means, len(part)) for part in parts]) if one_by_one else None,
        torch.cat([_or_none(part.deviations, len(part)) for part in parts]) if one_by_one else None,
        words,
    )


def _or_none(values: Tensor | None, count: int) -> Tensor:
    return torch.full((count,), torch.nan, dtype=torch.float64) if values is None else values
