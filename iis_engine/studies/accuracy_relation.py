"""Relation of IIS and accuracy over the models of one setting (the paper's Figures 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from iis_engine.studies.cells import Cell, Setting, left_out
from iis_engine.studies.rank_correlation import Estimate, Pairs, as_values, kendall, partial_spearman, spearman, spearman_value

DENOMINATOR = "the chance-corrected accuracy of the representation"
DENOMINATOR_IS_ACCURACY = (
    "Within one data set the chance-corrected accuracy of the representation, which ARR divides by, is a linear function of the accuracy, "
    "so that no variation of accuracy is left given it. Give each model an accuracy from elsewhere for this correlation."
)


def relation(setting: Setting, cells: Sequence[Cell]) -> dict[str, Any]:
    """Correlations of IIS with the representation's accuracy, and with the accuracy given for the models where all have one.

    Cells with a withheld or near-chance IIS and untrained networks are excluded.
    """
    used = [cell for cell in cells if cell.iis_compared is not None]
    answer: dict[str, Any] = {
        **setting.to_dict(),
        "n": len(used),
        "left_out": left_out(cells),
        "points": [point(cell) for cell in used],
        "accuracy": _against(used, [cell.accuracy.value for cell in used], "accuracy"),
        "given_accuracy": None,
    }
    given = [cell.given_accuracy for cell in used]
    if used and all(value is not None for value in given):
        answer["given_accuracy"] = _against(used, [value for value in given if value is not None], "given_accuracy")
    return answer


def point(cell: Cell) -> dict[str, Any]:
    """A model's point in the figure."""
    return cell.named() | {
        "family": cell.family,
        "accuracy": cell.accuracy.to_dict(),
        "given_accuracy": cell.given_accuracy,
        "iis": cell.iis and cell.iis.to_dict(),
        "iis_chance_corrected": cell.chance_corrected,
        "iis_random": cell.random,
        "concept_gain": cell.gain and cell.gain.to_dict(),
        "seeds": list(cell.seeds),
    }


def correlation_sentence(estimate: Estimate, what: str, over: str = "models") -> str:
    """A rank correlation in a sentence.

    Examples
    --------
    >>> correlation_sentence(Estimate(13, 0.62, 0.1, 0.9, p=0.03), "IIS and accuracy")
    'IIS and accuracy rise together over 13 models: rho 0.62 [0.10, 0.90], p 0.030.'
    """
    if estimate.value is None:
        return f"{what}: {estimate.reason}"
    numbers = f"rho {estimate.value:.2f}"
    if estimate.low is not None and estimate.high is not None:
        numbers += f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    if estimate.p is not None:
        numbers += f", p {estimate.p:.3f}" if estimate.p >= 0.001 else ", p under 0.001"
    significant = estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)
    significant = significant and (estimate.p is None or estimate.p <= 0.05)
    direction = "rise together" if estimate.value > 0 else "run against each other"
    claim = direction if significant else "show no order beyond chance"
    return f"{what} {claim} over {estimate.n} {over}: {numbers}."


def _against(cells: Sequence[Cell], accuracy: Sequence[float], which: str) -> dict[str, Any]:
    measured = which == "accuracy"
    pairs = _pairs(cells, accuracy, measured=measured)
    rho = spearman(pairs)
    name = "accuracy" if measured else "the given accuracy"
    return {
        "spearman": rho.to_dict(),
        "kendall": kendall(pairs).to_dict(),
        "partial": {
            "denominator": _partial_given_denominator(cells, pairs, measured=measured).to_dict(),
            "random": _partial_given_control(cells, pairs),
        },
        "random_control": _of_control(cells, accuracy, name),
        "leave_one_family_out": _without_families(cells, pairs),
        "sentence": correlation_sentence(rho, f"IIS and {name}"),
    }


def _pairs(cells: Sequence[Cell], accuracy: Sequence[float], *, measured: bool) -> Pairs:
    found = [cell.iis for cell in cells if cell.iis is not None]
    return Pairs(
        as_values(accuracy),
        as_values([value.value for value in found]),
        ("Accuracy" if measured else "The given accuracy", "IIS"),
        as_values([cell.accuracy.deviation for cell in cells]) if measured else None,
        as_values([value.deviation for value in found]),
    )


def _partial_given_denominator(cells: Sequence[Cell], pairs: Pairs, *, measured: bool) -> Estimate:
    if measured:
        return Estimate(len(cells), reason=DENOMINATOR_IS_ACCURACY)
    return partial_spearman(pairs, as_values([cell.accuracy.value - cell.chance for cell in cells]), DENOMINATOR)


def _partial_given_control(cells: Sequence[Cell], pairs: Pairs) -> dict[str, Any]:
    """The partial correlation given the IIS of the random control."""
    controls = [cell.random for cell in cells if cell.random is not None]
    if len(controls) < len(cells):
        return Estimate(len(cells), reason="Some results have no random control.").to_dict()
    return partial_spearman(pairs, as_values(controls), "the random control's IIS").to_dict()


def _of_control(cells: Sequence[Cell], accuracy: Sequence[float], name: str) -> dict[str, Any]:
    """The same correlation for the random control: concepts explain nothing where it is as high."""
    controls = [cell.random for cell in cells if cell.random is not None]
    if len(controls) < len(cells):
        return Estimate(len(cells), reason="Some results have no random control.").to_dict()
    return spearman(Pairs(as_values(accuracy), as_values(controls), (name.capitalize(), "The random control's IIS"))).to_dict()


def _without_families(cells: Sequence[Cell], pairs: Pairs) -> list[dict[str, Any]]:
    names = np.asarray([cell.family for cell in cells], dtype=object)
    sections = list[dict[str, Any]]()
    for family in dict.fromkeys(cell.family for cell in cells if cell.family is not None):
        kept = names != family
        found = spearman_value(Pairs(pairs.x[kept], pairs.y[kept], pairs.names))
        sections.append({"family": family, "n": found.n, "spearman": found.to_dict()})
    return sections
