"""Nodes of the curve: k kept concepts of M, s = 1 - k/M, and the choice of one. It imports no torch, so that a service can use it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from iis_engine.errors import SettingError

DEFAULT_SHARE = 0.1
DEFAULT_LEAST = 5
SAME_SPARSITY = 1e-6  # a third written with ten digits is still a third; two nodes differ by 1/M at least


def kept_count(concept_count: int, sparsity: float) -> int:
    """k = M - floor(s·M), in exact arithmetic (METHOD §1).

    `int(M * s)` in floating point is off by one for some M, such as s = .7 with M = 90.

    Examples
    --------
    >>> [kept_count(200, s) for s in (0, 0.1, 0.95, 0.98, 1)]
    [200, 180, 10, 4, 0]
    >>> kept_count(90, 0.7)
    27
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"A sparsity ratio lies in [0, 1]; got {sparsity}.")
    return concept_count - int(Fraction(str(sparsity)) * concept_count)


def sparsity_of(kept: int, concept_count: int) -> float:
    """s = 1 - k/M, rounded to 12 digits.

    Examples
    --------
    >>> sparsity_of(20, 200)
    0.9
    """
    return round(1 - kept / concept_count, 12)


def choose_node(nodes: Sequence[int], concept_count: int, kept: int | None = None, *, sparsity: float | None = None) -> int:
    """Number of kept concepts of the requested node; by default the node nearest to max(5, M/10).

    Parameters
    ----------
    nodes : numbers of kept concepts at the nodes of the curve
    kept, sparsity : k or s of the node; neither for the default

    Raises
    ------
    SettingError
        When the curve has no such node.

    Examples
    --------
    >>> choose_node([200, 100, 20, 10], 200)
    20
    >>> choose_node([200, 100, 20, 10], 200, sparsity=0.5)
    100
    """
    if sparsity is not None:
        if not 0 <= sparsity <= 1:
            raise SettingError(f"A sparsity lies between 0 and 1; {sparsity:g} does not.", code="sparsity_unknown", param="sparsity")
        matching = (node for node in nodes if abs(sparsity_of(node, concept_count) - sparsity) < SAME_SPARSITY)
        kept = next(matching, kept_count(concept_count, sparsity))
    elif kept is None:
        default = max(DEFAULT_LEAST, round(DEFAULT_SHARE * concept_count))
        kept = min(nodes, key=lambda node: (abs(node - default), node))
    if kept not in nodes:
        requested = f"kept = {kept}" if sparsity is None else f"sparsity = {sparsity:g}, which keeps {kept}"
        raise SettingError(
            f"The curve has no node at {requested}; it keeps {', '.join(map(str, nodes))} of {concept_count} concepts.",
            code="sparsity_unknown",
            param="kept" if sparsity is None else "sparsity",
        )
    return kept
