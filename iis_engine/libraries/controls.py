"""Control libraries: directions without concepts, normalised like the library that they are compared with (METHOD §2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.random import random_directions


def isotropic(origins: Sequence[str], dimension: int, seed: int) -> ConceptLibrary:
    """M Gaussian directions, blocks as in `origins`: do concepts keep more than any directions?

    Parameters
    ----------
    origins : of the library's concepts; its blocks are normalised in the same way
    dimension : d
    """
    return _control(tuple(origins), random_directions(dimension, len(origins), seed))


def matched(library: ConceptLibrary, seed: int) -> ConceptLibrary:
    """M draws from the Gaussian with the mean and covariance of the library's own vectors, block by block.

    Do these concepts keep more than directions with the same statistics?
    """
    generator = torch.Generator().manual_seed(seed)
    parts = [draw_like(library.vectors[block], block.stop - block.start, generator) for block in library.blocks()]
    return _control(library.origins, torch.nn.functional.normalize(torch.cat(parts), dim=1).float())


def draw_like(vectors: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draws (count, d) float64 from the Gaussian with mean and covariance of the rows of `vectors` (m, d).

    A random mixture of the centred rows has their covariance exactly, without forming it.
    """
    exact = vectors.double()
    mean = exact.mean(dim=0)
    mixture = torch.randn(count, len(exact), generator=generator, dtype=torch.float64) / max(1, len(exact) - 1) ** 0.5
    return mean + mixture @ (exact - mean)


def _control(origins: tuple[str, ...], vectors: Tensor) -> ConceptLibrary:
    return ConceptLibrary("random", vectors, origins, ((),) * len(origins))
