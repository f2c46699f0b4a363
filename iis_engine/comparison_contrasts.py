"""Two ways to score laid beside each other: library and library, own and other images for the library, trained and untrained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from iis_engine.comparison_cells import Cell, Value, group
from iis_engine.protocols import CONFIDENCE
from iis_engine.rank_correlation import Pairs, as_values, kendall, spearman

NEAR_CHANCE = "A representation that is no better than chance has no IIS to compare."


def agreement(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """How alike the libraries order the models by IIS, two by two; only where there are several libraries."""
    answers = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: replace(cell.setting, library="")).items():
        read = [cell for cell in found if cell.iis is not None and not cell.near_chance and not cell.untrained]
        libraries = group(read, lambda cell: cell.setting.library)
        if len(libraries) < 2:
            continue
        answers.append(
            {
                **{name: value for name, value in setting.to_dict().items() if name != "library"},
                "libraries": list(libraries),
                "pairs": [{"a": a, "b": b, **_same_order(libraries[a], libraries[b], (a, b))} for a, b in combinations(libraries, 2)],
            }
        )
    return answers


def transfer(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS with a library of the data set's own images minus IIS with one cut from another data set's, model by model."""
    own = {(cell.model, cell.setting): cell for cell in cells if cell.setting.library_dataset is None}
    answers = list[dict[str, Any]]()
    for setting, found in group([cell for cell in cells if cell.setting.library_dataset is not None], lambda cell: cell.setting).items():
        home = replace(setting, library_dataset=None, library_dataset_name=None)
        both = [(own[cell.model, home], cell) for cell in found if (cell.model, home) in own]
        if not both:
            continue
        compared = [_difference(ours, theirs, ("own", "other")) for ours, theirs in both]
        answers.append({**setting.to_dict(), "models": compared, **_over_models(compared), **_same_order(*_sides(both), ("own", "other"))})
    return answers


def untrained(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS of each trained network minus that of the same architecture untrained, the mean of its seeds of initialisation."""
    answers = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: cell.setting).items():
        bare = group([cell for cell in found if cell.untrained and cell.architecture is not None], lambda cell: cell.architecture)
        both = [(cell, bare[cell.architecture]) for cell in found if not cell.untrained and cell.architecture in bare]
        if not both:
            continue
        compared = [_against_untrained(cell, others) for cell, others in both]
        answers.append({**setting.to_dict(), "models": compared, **_over_models(compared)})
    return answers


def _sides(both: Sequence[tuple[Cell, Cell]]) -> tuple[list[Cell], list[Cell]]:
    return [ours for ours, _ in both], [theirs for _, theirs in both]


def _same_order(a: Sequence[Cell], b: Sequence[Cell], names: tuple[str, str]) -> dict[str, Any]:
    there = {cell.model: cell.iis for cell in b if not cell.near_chance}
    values = [
        (ours.value, theirs.value)
        for cell in a
        if not cell.near_chance and (ours := cell.iis) is not None and (theirs := there.get(cell.model)) is not None
    ]
    pairs = Pairs(
        as_values([ours for ours, _ in values]),
        as_values([theirs for _, theirs in values]),
        (f"IIS with the library {names[0]}", f"IIS with the library {names[1]}"),
    )
    return {"n": len(values), "spearman": spearman(pairs).to_dict(), "kendall": kendall(pairs).to_dict()}


def _difference(ours: Cell, theirs: Cell, names: tuple[str, str]) -> dict[str, Any]:
    """IIS of one minus the other; None with a sentence where one is withheld."""
    answer: dict[str, Any] = ours.named()
    for name, cell in zip(names, (ours, theirs), strict=True):
        answer[name] = cell.iis and cell.iis.to_dict()
        answer[f"{name}_concept_gain"] = cell.gain and cell.gain.to_dict()
    if ours.iis is None or theirs.iis is None or ours.near_chance or theirs.near_chance:
        return answer | {"difference": None, "reason": NEAR_CHANCE}
    return answer | {"difference": (ours.iis - theirs.iis).to_dict(), "reason": None}


def _against_untrained(cell: Cell, others: Sequence[Cell]) -> dict[str, Any]:
    """Beside the mean of the untrained ones; their accuracies stand there too, since an IIS divides by them."""
    answer: dict[str, Any] = cell.named() | {
        "architecture": cell.architecture,
        "untrained_models": [other.named() for other in others],
        "accuracy": cell.accuracy.to_dict(),
        "untrained_accuracy": _mean([other.accuracy for other in others]).to_dict(),
        "trained": cell.iis and cell.iis.to_dict(),
        "trained_concept_gain": cell.gain and cell.gain.to_dict(),
        "untrained": None,
        "untrained_concept_gain": None,
        "difference": None,
        "reason": NEAR_CHANCE,
    }
    values = [other.iis for other in others if other.iis is not None and not other.near_chance]
    gains = [other.gain for other in others if other.gain is not None and not other.near_chance]
    if cell.iis is None or cell.near_chance or len(values) < len(others):
        return answer
    answer |= {"untrained": _mean(values).to_dict(), "untrained_concept_gain": _mean(gains).to_dict() if gains else None}
    return answer | {"difference": (cell.iis - _mean(values)).to_dict(), "reason": None}


def _mean(values: Sequence[Value]) -> Value:
    return Value(*(float(np.mean([getattr(value, end) for value in values])) for end in ("value", "low", "high")))


def _over_models(compared: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean difference over models with Student's interval, and in words."""
    found = as_values([one["difference"]["value"] for one in compared if one["difference"] is not None])
    if len(found) < 2:
        sentence = f"{len(found)} model can be compared, too few for a mean with an interval." if len(found) else NEAR_CHANCE
        return {"mean_difference": None, "sentence": sentence}
    mean = float(found.mean())
    half = float(student_t.ppf((1 + CONFIDENCE) / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    numbers = f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}] over {len(found)} models"
    told = "No difference beyond noise" if abs(mean) <= half else f"IIS is {'higher' if mean > 0 else 'lower'} by the first"
    return {"mean_difference": Value(mean, mean - half, mean + half).to_dict(), "sentence": f"{told}: {numbers}."}
