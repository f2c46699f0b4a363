"""The rows of a study as cells: one a model and setting, its seeds averaged. What is made of them is in the other comparison_*."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.stats import norm

from iis_engine.protocols import CONFIDENCE

Key = TypeVar("Key", bound=Hashable)
_DEVIATIONS = 2 * float(norm.ppf((1 + CONFIDENCE) / 2))
"""A 95 % interval is so many standard deviations wide."""
NEAR_CHANCE = "Its representation is no better than chance, so its IIS carries no information."
UNTRAINED = "It is untrained; see the comparison with untrained networks."


@dataclass(frozen=True)
class Value:
    """A measured number with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2

    @property
    def deviation(self) -> float:
        """The standard deviation that a normal error of this interval has."""
        return (self.high - self.low) / _DEVIATIONS

    def __sub__(self, other: Value) -> Value:
        """The difference, its interval as if the two were independent; two of one data set share its images, so it is rather too wide."""
        half = float(np.hypot(self.half, other.half))
        difference = self.value - other.value
        return Value(difference, difference - half, difference + half)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON-serialisable values."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Setting:
    """What two cells share when their models may be compared."""

    dataset: str
    dataset_name: str
    library: str
    concept_count: int
    library_dataset: str | None
    library_dataset_name: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return dict(self.__dict__)

    @property
    def title(self) -> str:
        """As a person would say it."""
        cut = "" if self.library_dataset is None else f" cut from {self.library_dataset_name}"
        return f"{self.library} library of {self.concept_count}{cut} on {self.dataset_name}"


@dataclass(frozen=True)
class Cell:
    """One model in one setting.

    Attributes
    ----------
    network : architecture, arguments and layer in one; an untrained network is laid beside trained ones of the same
    position : of the model among the study's, from 0
    seeds : whose results are averaged; an interval is the mean of theirs, since they share their test images
    iis, random, gain, chance_corrected : None where a seed's result withholds them, as the exact protocol does near chance
    near_chance : whether a seed's representation is no better than chance
    curves : per seed [[sparsity, kept, accuracy, arr], …]
    """

    setting: Setting
    model: str
    label: str
    family: str | None
    network: str | None
    untrained: bool
    epoch: float | None
    given_accuracy: float | None
    position: int
    seeds: tuple[int, ...]
    accuracy: Value
    chance: float
    iis: Value | None
    random: float | None
    gain: Value | None
    chance_corrected: float | None
    near_chance: bool
    curves: tuple[tuple[tuple[float, int, float, float], ...], ...]

    @property
    def iis_read(self) -> Value | None:
        """IIS where it says something: of a representation that is better than chance."""
        return None if self.near_chance else self.iis

    @property
    def iis_compared(self) -> Value | None:
        """IIS as correlations and means over models have it: read, and of a network that was trained."""
        return None if self.untrained else self.iis_read

    def named(self) -> dict[str, Any]:
        """The model as answers name it."""
        return {"model": self.model, "label": self.label}


def left_out(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """The models that correlations and means over models leave out, each once, and why."""
    found = {cell.model: cell for cell in cells if cell.iis_compared is None}
    return [cell.named() | {"reason": NEAR_CHANCE if cell.iis_read is None else UNTRAINED} for cell in found.values()]


def shared_iis(a: Iterable[Cell], b: Iterable[Cell]) -> list[tuple[float, float]]:
    """IIS of a and of b, model by model, where both are compared."""
    there = {cell.model: cell.iis_compared for cell in b}
    both = ((cell.iis_compared, there.get(cell.model)) for cell in a)
    return [(ours.value, theirs.value) for ours, theirs in both if ours is not None and theirs is not None]


def read_cells(rows: Iterable[dict[str, Any]], models: Iterable[str] = ()) -> list[Cell]:
    """Rows of finished jobs as cells, by their models' places in the study's list; of models it does not name by first appearance."""
    grouped = group(rows, lambda row: (row["model"], _setting(row)))
    positions = {model: place for place, model in enumerate(dict.fromkeys([*models, *(model for model, _ in grouped)]))}
    return sorted(
        (_cell(model, setting, found, positions[model]) for (model, setting), found in grouped.items()), key=lambda cell: cell.position
    )


Row = TypeVar("Row")


def group(items: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Items by key, both in order of appearance."""
    found = dict[Key, list[Row]]()
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def by_setting(cells: Iterable[Cell]) -> dict[Setting, list[Cell]]:
    """Cells that may be compared with each other."""
    return group(cells, lambda cell: cell.setting)


def _setting(row: dict[str, Any]) -> Setting:
    return Setting(
        row["dataset"],
        row["dataset_name"],
        row["library"],
        row["concept_count"],
        row["library_dataset"],
        row["library_dataset_name"],
    )


def _cell(model: str, setting: Setting, rows: Sequence[dict[str, Any]], position: int) -> Cell:
    first, accuracy = rows[0], _mean_value(rows, "accuracy")
    if accuracy is None:
        raise ValueError(f"A row of model {model} has no accuracy.")
    return Cell(
        setting,
        model,
        first["label"],
        first["family"],
        first["network"],
        first["untrained"],
        first["epoch"],
        first["given_accuracy"],
        position,
        tuple(row["seed"] for row in rows),
        accuracy,
        float(np.mean([row["chance"] for row in rows])),
        _mean_value(rows, "iis"),
        _mean(rows, "iis_random_mean"),
        _mean_value(rows, "concept_gain"),
        _mean(rows, "iis_chance_corrected"),
        any(row["near_chance"] for row in rows),
        tuple(tuple((float(s), int(k), float(accuracy), float(arr)) for s, k, accuracy, arr in row["points"]) for row in rows),
    )


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if any(value is None for value in values) else float(np.mean(values))


def _mean_value(rows: Sequence[dict[str, Any]], name: str) -> Value | None:
    value, low, high = (_mean(rows, f"{name}{end}") for end in ("", "_low", "_high"))
    return None if value is None or low is None or high is None else Value(value, low, high)
