"""Paired comparisons: library with library, own with other images for the library, trained with untrained networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from iis_engine.protocols import CONFIDENCE
from iis_engine.report import CONTROL_NAMES
from iis_engine.scoring.curve import mean_interval
from iis_engine.studies.cells import Cell, Control, Value, group, left_out, shared_iis
from iis_engine.studies.rank_correlation import Pairs, as_values, same_order

NO_IIS = "A representation that is no better than chance has no IIS to compare."


def agreement(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Rank correlation of IIS between every two libraries; one section per setting with several libraries."""
    sections = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: replace(cell.setting, library="")).items():
        libraries = group((cell for cell in found if cell.iis_compared is not None), lambda cell: cell.setting.library)
        if len(libraries) < 2:
            continue
        sections.append(
            {
                **{name: value for name, value in setting.to_dict().items() if name != "library"},
                "libraries": list(libraries),
                "left_out": left_out(found),
                "pairs": [{"a": a, "b": b, **_same_order(libraries[a], libraries[b], (a, b))} for a, b in combinations(libraries, 2)],
            }
        )
    return sections


def transfer(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS with a library cut from the scored data set minus IIS with one cut from another data set, by model."""
    own = {(cell.model, cell.setting): cell for cell in cells if cell.setting.library_dataset is None}
    sections = list[dict[str, Any]]()
    for setting, found in group([cell for cell in cells if cell.setting.library_dataset is not None], lambda cell: cell.setting).items():
        home = replace(setting, library_dataset=None, library_dataset_name=None)
        both = [(own[cell.model, home], cell) for cell in found if (cell.model, home) in own]
        if not both:
            continue
        compared = [one for ours, theirs in both if (one := _difference(ours, theirs)) is not None]
        sides = [ours for ours, _ in both], [theirs for _, theirs in both]
        sections.append(
            {
                **setting.to_dict(),
                "models": compared,
                "left_out": left_out(cell for pair in both for cell in pair),
                **_over_models(compared),
                **_same_order(*sides, ("own", "other")),
            }
        )
    return sections


def untrained(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS of each trained network minus the mean IIS of the same network untrained over its initial seeds.

    Networks are the same where architecture, arguments and layer are equal.
    """
    sections = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: cell.setting).items():
        bare = group((cell for cell in found if cell.untrained), lambda cell: cell.network)
        both = [(cell, bare[cell.network]) for cell in found if not cell.untrained and cell.network in bare]
        if not both:
            continue
        compared = [_against_untrained(cell, others) for cell, others in both]
        sections.append({**setting.to_dict(), "models": compared, **_over_models(compared)})
    return sections


def _same_order(a: Sequence[Cell], b: Sequence[Cell], names: tuple[str, str]) -> dict[str, Any]:
    return same_order(Pairs.of(shared_iis(a, b), (f"IIS with the library {names[0]}", f"IIS with the library {names[1]}")))


def _difference(own: Cell, other: Cell) -> dict[str, Any] | None:
    """IIS of `own` minus that of `other`; None where either is excluded."""
    if own.iis_compared is None or other.iis_compared is None:
        return None
    return own.named() | {
        "own": own.iis_compared.to_dict(),
        "own_controls": own.controls_named(),
        "other": other.iis_compared.to_dict(),
        "other_controls": other.controls_named(),
        "difference": (own.iis_compared - other.iis_compared).to_dict(),
    }


def _against_untrained(cell: Cell, others: Sequence[Cell]) -> dict[str, Any]:
    """The trained network and the mean of the untrained ones, with their accuracies, by which IIS divides."""
    answer: dict[str, Any] = cell.named() | {
        "network": cell.network,
        "untrained_models": [other.named() for other in others],
        "accuracy": cell.accuracy.to_dict(),
        "untrained_accuracy": _mean([other.accuracy for other in others]).to_dict(),
        "trained": cell.iis and cell.iis.to_dict(),
        "trained_controls": cell.controls_named(),
        "untrained": None,
        "untrained_controls": None,
        "difference": None,
        "reason": NO_IIS,
    }
    values = [other.iis_read for other in others if other.iis_read is not None]
    if cell.iis_read is None or len(values) < len(others):
        return answer
    answer |= {"untrained": _mean(values).to_dict(), "untrained_controls": _mean_controls(others)}
    return answer | {"difference": (cell.iis_read - _mean(values)).to_dict(), "reason": None}


def _mean(values: Sequence[Value]) -> Value:
    return Value(*(float(np.mean([getattr(value, end) for value in values])) for end in ("value", "low", "high")))


def _mean_controls(cells: Sequence[Cell]) -> dict[str, Any]:
    """Means over cells of the controls' IIS and of the gains, each None where a cell lacks it."""

    def mean_of(values: Sequence[Value | None]) -> Value | None:
        known = [value for value in values if value is not None]
        return _mean(known) if len(known) == len(values) else None

    found = dict[str, Any]()
    for name in CONTROL_NAMES:
        controls = [cell.controls[name] for cell in cells]
        scores = [control.iis for control in controls if control.iis is not None]
        mean = Control(
            iis=float(np.mean(scores)) if len(scores) == len(controls) else None,
            gain=mean_of([control.gain for control in controls]),
            few_gain=mean_of([control.few_gain for control in controls]),
        )
        found |= mean.named(name)
    return found


def _over_models(compared: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean difference over models with Student's interval, and as a sentence."""
    differences = as_values([one["difference"]["value"] for one in compared if one["difference"] is not None])
    if len(differences) < 2:
        return {"mean_difference": None, "sentence": f"{len(differences) or 'No'} model can be compared; an interval needs two."}
    mean, low, high = mean_interval(differences, CONFIDENCE)
    numbers = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}] over {len(differences)} models"
    claim = "No difference beyond noise" if low <= 0 <= high else f"IIS is {'higher' if mean > 0 else 'lower'} by the first"
    return {"mean_difference": Value(mean, low, high).to_dict(), "sentence": f"{claim}: {numbers}."}
