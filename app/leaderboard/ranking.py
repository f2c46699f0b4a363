"""Ranks with ties."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot

Interval = tuple[float, float, float]  # value, low, high


def scores_differ(leader: Interval, other: Interval) -> bool:
    """Whether two scores differ by more than the root of the sum of their squared half-widths.

    Both were measured on the same images, so the interval of a paired difference would be narrower: a difference found here is one,
    and a tie may hide one.
    """
    (first, *edges), (second, *others) = leader, other
    return abs(first - second) > hypot((edges[1] - edges[0]) / 2, (others[1] - others[0]) / 2)


def ranks(scores: Sequence[Interval]) -> list[int]:
    """The rank of each score, best first. Scores share a rank where they do not differ from the first of that rank.

    Examples
    --------
    >>> ranks([(0.9, 0.88, 0.92), (0.89, 0.87, 0.91), (0.7, 0.68, 0.72)])
    [1, 1, 3]
    """
    found: list[int] = []
    leader = 0
    for place, score in enumerate(scores):
        if scores_differ(scores[leader], score):
            leader = place
        found.append(leader + 1)
    return found
