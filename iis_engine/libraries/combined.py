"""Combined library: other libraries side by side. Activations are concatenated; each concept keeps its origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary


def combine(parts: Sequence[ConceptLibrary]) -> ConceptLibrary:
    """Join libraries of one representation space, in order; at most one of them has text concepts."""
    standardised = any(part.deviations is not None for part in parts)
    return ConceptLibrary(
        kind="combined",
        vectors=torch.cat([part.vectors for part in parts]),
        origins=tuple(origin for part in parts for origin in part.origins),
        exemplars=tuple(row for part in parts for row in part.exemplars),
        means=torch.cat([_values_or_nan(part.means, len(part)) for part in parts]) if standardised else None,
        deviations=torch.cat([_values_or_nan(part.deviations, len(part)) for part in parts]) if standardised else None,
        text_report=next((part.text_report for part in parts if part.text_report is not None), None),
    )


def _values_or_nan(values: Tensor | None, count: int) -> Tensor:
    return torch.full((count,), torch.nan, dtype=torch.float64) if values is None else values
