"""Cells of a study: one per model and setting, averaged over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.stats import norm

from iis_engine.protocols import CONFIDENCE
from iis_engine.report import CONTROL_NAMES

Key = TypeVar("Key", bound=Hashable)
_DEVIATIONS = 2 * float(norm.ppf((1 + CONFIDENCE) / 2))
"""Width of a 95 % interval in standard deviations of a normal distribution."""
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
        """Standard deviation of a normal error with this interval."""
        return (self.high - self.low) / _DEVIATIONS

    def __sub__(self, other: Value) -> Value:
        """The difference, with an interval for independent values: too wide where both share test images."""
        half = float(np.hypot(self.half, other.half))
        difference = self.value - other.value
        return Value(difference, difference - half, difference + half)

    def to_dict(self) -> dict[str, float]:
        """Plain JSON-serialisable values."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Setting:
    """Data set, library, edition of the activations and retained quantity, which cells must share to be compared."""

    dataset: str
    dataset_name: str
    library: str
    concept_count: int
    edition: int
    quantity: str
    library_dataset: str | None
    library_dataset_name: str | None

    @property
    def quantity_in_words(self) -> str:
        """What is retained: accuracy, or mean average precision of multi-label data."""
        return self.quantity.replace("_", " ")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-serialisable values."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Control:
    """One control of a cell, and what the library gains over it; a value is None where a seed's result lacks or withholds it.

    Attributes
    ----------
    gain : IIS of the library minus that of the control
    few_gain : the same of mean accuracy at 5 to 30 kept concepts
    """

    iis: float | None
    gain: Value | None
    few_gain: Value | None

    def named(self, name: str) -> dict[str, Any]:
        """Plain JSON-serialisable values, by the names of a row."""
        return {
            f"iis_{name}": self.iis,
            f"gain_{name}": self.gain and self.gain.to_dict(),
            f"few_gain_{name}": self.few_gain and self.few_gain.to_dict(),
        }


@dataclass(frozen=True)
class Cell:
    """One model in one setting.

    Attributes
    ----------
    network : architecture, arguments and layer; trained and untrained networks are compared where it is equal
    position : of the model in the study, from 0
    seeds : of the averaged results; intervals are averaged too, since the seeds share their test images
    iis, few_concepts_mean, chance_corrected : None where a seed's result withholds them, as `exact` does near chance
    controls : by name, `isotropic` and `matched`
    near_chance : whether the representation of any seed is no better than chance
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
    few_concepts_mean: Value | None
    controls: dict[str, Control]
    chance_corrected: float | None
    near_chance: bool
    curves: tuple[tuple[tuple[float, int, float, float], ...], ...]

    @property
    def iis_read(self) -> Value | None:
        """IIS of a representation better than chance; None for others."""
        return None if self.near_chance else self.iis

    @property
    def iis_compared(self) -> Value | None:
        """IIS for correlations and means over models: of a trained network better than chance; None for others."""
        return None if self.untrained else self.iis_read

    def named(self) -> dict[str, Any]:
        """Id and label of the model."""
        return {"model": self.model, "label": self.label}

    def controls_named(self) -> dict[str, Any]:
        """IIS of both controls and the gains over them, by the names of a row."""
        return {key: value for name, control in self.controls.items() for key, value in control.named(name).items()}


def left_out(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """The models excluded from correlations and means, each once with the reason."""
    found = {cell.model: cell for cell in cells if cell.iis_compared is None}
    return [cell.named() | {"reason": NEAR_CHANCE if cell.iis_read is None else UNTRAINED} for cell in found.values()]


def shared_iis(a: Iterable[Cell], b: Iterable[Cell]) -> list[tuple[float, float]]:
    """Pairs of IIS of a and b by model, where both are compared."""
    of_b = {cell.model: cell.iis_compared for cell in b}
    both = ((cell.iis_compared, of_b.get(cell.model)) for cell in a)
    return [(ours.value, theirs.value) for ours, theirs in both if ours is not None and theirs is not None]


def read_cells(rows: Iterable[dict[str, Any]], models: Iterable[str] = ()) -> list[Cell]:
    """Rows of finished jobs as cells, ordered as `models` and then by first appearance."""
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
    """Cells by setting: those of one setting can be compared."""
    return group(cells, lambda cell: cell.setting)


def _setting(row: dict[str, Any]) -> Setting:
    return Setting(
        dataset=row["dataset"],
        dataset_name=row["dataset_name"],
        library=row["library"],
        concept_count=row["concept_count"],
        edition=row["edition"],
        quantity=row["quantity"],
        library_dataset=row["library_dataset"],
        library_dataset_name=row["library_dataset_name"],
    )


def _cell(model: str, setting: Setting, rows: Sequence[dict[str, Any]], position: int) -> Cell:
    first, accuracy = rows[0], _mean_value(rows, "accuracy")
    if accuracy is None:
        raise ValueError(f"A row of model {model} has no accuracy.")
    return Cell(
        setting=setting,
        model=model,
        label=first["label"],
        family=first["family"],
        network=first["network"],
        untrained=first["untrained"],
        epoch=first["epoch"],
        given_accuracy=first["given_accuracy"],
        position=position,
        seeds=tuple(row["seed"] for row in rows),
        accuracy=accuracy,
        chance=float(np.mean([row["chance"] for row in rows])),
        iis=_mean_value(rows, "iis"),
        few_concepts_mean=_mean_value(rows, "few_concepts_mean"),
        controls={name: _control(rows, name) for name in CONTROL_NAMES},
        chance_corrected=_mean(rows, "iis_chance_corrected"),
        near_chance=any(row["near_chance"] for row in rows),
        curves=tuple(tuple((float(s), int(k), float(accuracy), float(arr)) for s, k, accuracy, arr in row["points"]) for row in rows),
    )


def _control(rows: Sequence[dict[str, Any]], name: str) -> Control:
    return Control(
        iis=_mean(rows, f"iis_{name}"),
        gain=_mean_value(rows, f"gain_{name}"),
        few_gain=_mean_value(rows, f"few_gain_{name}"),
    )


def _mean(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows]
    return None if any(value is None for value in values) else float(np.mean(values))


def _mean_value(rows: Sequence[dict[str, Any]], name: str) -> Value | None:
    value, low, high = (_mean(rows, f"{name}{end}") for end in ("", "_low", "_high"))
    return None if value is None or low is None or high is None else Value(value, low, high)
