"""Combined: libraries side by side; activations are concatenated and a concept keeps its origin."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from iis_engine.libraries.library import ConceptLibrary


def combine(parts: Sequence[ConceptLibrary]) -> ConceptLibrary:
    """Join libraries of one representation space, in order."""
    return ConceptLibrary(
        "combined",
        torch.cat([part.vectors for part in parts]),
        tuple(origin for part in parts for origin in part.origins),
        tuple(row for part in parts for row in part.exemplars),
    )
