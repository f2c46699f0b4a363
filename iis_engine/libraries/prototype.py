"""Prototype library: M visual elements drawn at random."""

from __future__ import annotations

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary


def build_prototype(units: Tensor, numbers: Tensor, concept_count: int, seed: int) -> ConceptLibrary:
    """Draw `concept_count` of the unit element vectors (E, d) without replacement."""
    order = torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))[:concept_count]
    return prototype_of(units[order], numbers[order])


def prototype_of(vectors: Tensor, numbers: Tensor) -> ConceptLibrary:
    """Elements (M, d) as concepts, each its own exemplar; `numbers` (M,) are their indices."""
    exemplars = tuple(((int(number), 1.0),) for number in numbers)
    return ConceptLibrary("prototype", vectors.float(), ("prototype",) * len(vectors), exemplars)
