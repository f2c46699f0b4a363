"""Control libraries: directions without concepts, normalised like the library that they are compared with (METHOD §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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
    parts = [draw_like(library.vectors[block], generator) for block in library.blocks()]
    return _control(library.origins, torch.nn.functional.normalize(torch.cat(parts), dim=1).float())


def draw_like(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Gaussian draws (m, d) float64 given that their sample mean and covariance are those of `vectors` (m, d), by a random rotation.

    Free draws from the Gaussian would have a smaller effective rank than the vectors that gave its covariance, where these are not
    many more than d, and so keep less: vectors that are Gaussian themselves would gain over them. Rotated vectors are exchangeable
    with such vectors (Langsrud 2005, Rotation tests).
    """
    exact = vectors.double()
    mean = exact.mean(dim=0)
    _, scales, axes = torch.linalg.svd(exact - mean, full_matrices=False)
    rank = max(1, min(len(scales), len(exact) - 1))
    normal = torch.randn(len(exact), rank, generator=generator, dtype=torch.float64)
    scores = torch.linalg.qr(normal - normal.mean(dim=0)).Q
    return mean + (scores * scales[:rank]) @ axes[:rank]


def with_block(control: ConceptLibrary, origin: str, vectors: Tensor) -> ConceptLibrary:
    """A control whose block of one origin has other unit vectors (m, d)."""
    changed = control.vectors.clone()
    changed[torch.tensor([name == origin for name in control.origins])] = vectors
    return replace(control, vectors=changed)


def _control(origins: tuple[str, ...], vectors: Tensor) -> ConceptLibrary:
    return ConceptLibrary("random", vectors, origins, ((),) * len(origins))
