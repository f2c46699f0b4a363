"""Sentences that state rank correlations, and Holm's adjustment of their p over all sentences of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from iis_engine.protocols import CONFIDENCE
from iis_engine.studies.rank_correlation import Estimate, as_values


def holm(p: Sequence[float]) -> list[float]:
    """p of a family of hypotheses, adjusted so that the chance of any false rejection is bounded (Holm 1979).

    The i-th smallest of m is multiplied by m - i + 1; each is at least the one before it, and at most 1.

    Examples
    --------
    >>> [round(value, 3) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    values = as_values(p)
    order = np.argsort(values, kind="stable")
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)))
    return adjusted.tolist()


def adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """One family of correlations with `p_holm`; one without p is no member of it and stays as it is."""
    members = [estimate.p for estimate in estimates if estimate.p is not None]
    values = iter(holm(members))
    return [estimate if estimate.p is None else replace(estimate, p_holm=next(values)) for estimate in estimates]


def correlation_sentence(estimate: Estimate, what: str, over: str = "models") -> str:
    """A rank correlation in a sentence. It states an order where the interval excludes 0 and `p_holm` is at most .05.

    Examples
    --------
    >>> correlation_sentence(Estimate(13, 0.62, 0.1, 0.9, p=0.01, p_holm=0.03), "IIS and accuracy")
    'IIS and accuracy rise together over 13 models: rho 0.62 [0.10, 0.90], p 0.010, 0.030 by Holm.'
    """
    if estimate.value is None:
        return f"{what}: {estimate.reason}"
    numbers = f"rho {rho_text(estimate)}"
    if estimate.p is not None:
        numbers += f", p {_p_text(estimate.p)}"
    if estimate.p_holm is not None:
        numbers += f", {_p_text(estimate.p_holm)} by Holm"
    excludes_zero = estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)
    significant = excludes_zero and estimate.p_holm is not None and estimate.p_holm <= 1 - CONFIDENCE
    direction = "rise together" if estimate.value > 0 else "run against each other"
    claim = direction if significant else "show no order beyond chance"
    return f"{what} {claim} over {estimate.n} {over}: {numbers}."


def rho_text(estimate: Estimate) -> str:
    """A correlation with its interval; `undefined` where it has no value."""
    if estimate.value is None:
        return "undefined"
    interval = "" if estimate.low is None or estimate.high is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return f"{estimate.value:.2f}{interval}"


def _p_text(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "under 0.001"
