"""Relation of IIS and of the gains over both controls to accuracy, over the models of one setting (the paper's Figures 3 and 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from iis_engine.report import CONTROL_NAMES
from iis_engine.studies.cells import Cell, Setting, Value, left_out
from iis_engine.studies.claims import adjusted, correlation_sentence, rho_text
from iis_engine.studies.rank_correlation import Array, Estimate, Pairs, as_values, kendall, partial_spearman, spearman, spearman_value

Accuracy = Literal["accuracy", "given_accuracy"]
Number = tuple[float, float | None]
"""A value, and the standard deviation of its measurement error where it is known."""

DENOMINATOR = "the chance-corrected {quantity} of the representation"
DENOMINATOR_IS_ACCURACY = (
    "Within one data set the chance-corrected {quantity} of the representation, which ARR divides by, is a linear function of the "
    "{quantity}, so that no variation of it is left. Give each model a published {quantity} for this correlation."
)
ACCURACY_WORDS: dict[Accuracy, str] = {"accuracy": "{quantity}", "given_accuracy": "the given {quantity}"}
"""Names of both accuracies, with the quantity that scores retain in the place of accuracy."""


@dataclass(frozen=True)
class Quantity:
    """A number of a cell that is set against accuracy."""

    words: str
    read: Callable[[Cell], Number | None]


def _iis(cell: Cell) -> Number | None:
    return _number(cell.iis)


def _gain(cell: Cell, name: str) -> Number | None:
    return _number(cell.controls[name].gain)


def _few_gain(cell: Cell, name: str) -> Number | None:
    return _number(cell.controls[name].few_gain)


def _control(cell: Cell, name: str) -> Number | None:
    iis = cell.controls[name].iis
    return None if iis is None else (iis, None)


def _number(value: Value | None) -> Number | None:
    return None if value is None else (value.value, value.deviation)


IIS = Quantity("IIS", _iis)
GAINS = {
    f"{kind}_{name}": Quantity(f"{words} over {name} directions", partial(read, name=name))
    for name in reversed(CONTROL_NAMES)
    for kind, words, read in (("few_gain", "The few-concept gain", _few_gain), ("gain", "The gain in IIS", _gain))
}
CONTROLS = {name: Quantity(f"The IIS of {name} directions", partial(_control, name=name)) for name in CONTROL_NAMES}
STATED_GAINS = ("few_gain_matched", "gain_matched")
"""Gains whose correlation a sentence states; the others are numbers beside it, without a claim."""


@dataclass(frozen=True)
class _Correlations:
    """Correlations with one accuracy; `stated` has those of sentences by quantity, which are one family over the whole study."""

    stated: dict[str, Estimate]
    gains: dict[str, Estimate]
    controls: dict[str, Estimate]
    partial: dict[str, Estimate]
    tau: Estimate
    without_families: list[dict[str, Any]]


def relations(found: Mapping[Setting, Sequence[Cell]]) -> list[dict[str, Any]]:
    """One section per setting: correlations with the representation's accuracy, and with the accuracy given where all models have one.

    Cells with a withheld or near-chance IIS and untrained networks are excluded. `p_holm` of a sentence's correlation is adjusted over
    all sentences of all sections.
    """
    used = {setting: [cell for cell in cells if cell.iis_compared is not None] for setting, cells in found.items()}
    measured = {
        (setting, which): _correlations(setting, cells, values, which)
        for setting, cells in used.items()
        for which in ACCURACY_WORDS
        if (values := _accuracies(cells, which)) is not None
    }
    family = iter(adjusted([estimate for one in measured.values() for estimate in one.stated.values()]))
    stated = {place: {name: next(family) for name in one.stated} for place, one in measured.items()}
    return [
        {
            **setting.to_dict(),
            "n": len(cells),
            "left_out": left_out(found[setting]),
            "points": [point(cell) for cell in cells],
            **{
                which: _section(measured[setting, which], stated[setting, which], _words(which, setting))
                if (setting, which) in measured
                else None
                for which in ACCURACY_WORDS
            },
        }
        for setting, cells in used.items()
    ]


def point(cell: Cell) -> dict[str, Any]:
    """A model's point in the figure."""
    return cell.named() | {
        "family": cell.family,
        "accuracy": cell.accuracy.to_dict(),
        "given_accuracy": cell.given_accuracy,
        "iis": cell.iis and cell.iis.to_dict(),
        "iis_chance_corrected": cell.chance_corrected,
        "few_concepts_mean": cell.few_concepts_mean and cell.few_concepts_mean.to_dict(),
        **cell.controls_named(),
        "seeds": list(cell.seeds),
    }


def _accuracies(cells: Sequence[Cell], which: Accuracy) -> list[Number] | None:
    """The accuracies of the cells; None where it is the given one and some have none."""
    if which == "accuracy":
        return [(cell.accuracy.value, cell.accuracy.deviation) for cell in cells]
    given: list[Number] = [(cell.given_accuracy, None) for cell in cells if cell.given_accuracy is not None]
    return given if cells and len(given) == len(cells) else None


def _correlations(setting: Setting, cells: Sequence[Cell], accuracies: Sequence[Number], which: Accuracy) -> _Correlations:
    words = _words(which, setting)

    def against(quantity: Quantity, *, stated: bool = False) -> Estimate:
        numbers = _measured(cells, quantity)
        if len(numbers) < len(cells):
            return Estimate(len(cells), reason=_not_measured(quantity))
        pairs = _pairs(accuracies, numbers, quantity, words)
        return spearman(pairs if stated else replace(pairs, x_deviation=None, y_deviation=None))  # noise takes as long as the interval

    pairs = _pairs(accuracies, _measured(cells, IIS), IIS, words)
    gains = {name: against(quantity, stated=name in STATED_GAINS) for name, quantity in GAINS.items()}
    return _Correlations(
        stated={"iis": spearman(pairs)} | {name: gains[name] for name in STATED_GAINS},
        gains=gains,
        controls={name: against(quantity) for name, quantity in CONTROLS.items()},
        partial={
            "denominator": _given_denominator(setting, cells, pairs, which),
            **{name: _given_control(cells, pairs, name) for name in CONTROL_NAMES},
        },
        tau=kendall(pairs),
        without_families=_without_families(cells, pairs),
    )


def _section(found: _Correlations, stated: Mapping[str, Estimate], words: str) -> dict[str, Any]:
    gains = found.gains | {name: stated[name] for name in STATED_GAINS}
    return {
        "spearman": stated["iis"].to_dict(),
        "kendall": found.tau.to_dict(),
        "partial": {name: estimate.to_dict() for name, estimate in found.partial.items()},
        "controls": {name: estimate.to_dict() for name, estimate in found.controls.items()},
        "gains": {name: estimate.to_dict() for name, estimate in gains.items()},
        "leave_one_family_out": found.without_families,
        "sentences": [
            correlation_sentence(stated["iis"], f"IIS and {words}") + _beside(found),
            *(
                correlation_sentence(stated[name], f"{GAINS[name].words} and {words}")
                for name in STATED_GAINS
                if stated[name].value is not None
            ),
        ],
    }


def _beside(found: _Correlations) -> str:
    """The same correlation of the control that the relation is read beside: the matched one, or else the isotropic one."""
    name = next((name for name in reversed(CONTROL_NAMES) if found.controls[name].value is not None), None)
    if name is None:
        return ""
    given = found.partial[name]
    rest = f"; given it, rho of IIS is {rho_text(given)}" if given.value is not None else ""
    return f" {CONTROLS[name].words} has rho {rho_text(found.controls[name])}{rest}."


def _words(which: Accuracy, setting: Setting) -> str:
    return ACCURACY_WORDS[which].format(quantity=setting.quantity_in_words)


def _measured(cells: Sequence[Cell], quantity: Quantity) -> list[Number]:
    """The quantity of the cells that have it."""
    return [number for cell in cells if (number := quantity.read(cell)) is not None]


def _not_measured(quantity: Quantity) -> str:
    return f"{quantity.words} is not measured in all results."


def _pairs(accuracies: Sequence[Number], numbers: Sequence[Number], quantity: Quantity, words: str) -> Pairs:
    names = (words.capitalize(), quantity.words)
    return Pairs(_values(accuracies), _values(numbers), names, _deviations(accuracies), _deviations(numbers))


def _values(numbers: Sequence[Number]) -> Array:
    return as_values([value for value, _ in numbers])


def _deviations(numbers: Sequence[Number]) -> Array | None:
    known = [deviation for _, deviation in numbers if deviation is not None]
    return as_values(known) if len(known) == len(numbers) else None


def _given_denominator(setting: Setting, cells: Sequence[Cell], pairs: Pairs, which: Accuracy) -> Estimate:
    quantity = setting.quantity_in_words
    if which == "accuracy":
        return Estimate(len(cells), reason=DENOMINATOR_IS_ACCURACY.format(quantity=quantity))
    corrected = as_values([cell.accuracy.value - cell.chance for cell in cells])
    return partial_spearman(pairs, corrected, DENOMINATOR.format(quantity=quantity))


def _given_control(cells: Sequence[Cell], pairs: Pairs, name: str) -> Estimate:
    control = CONTROLS[name]
    numbers = _measured(cells, control)
    if len(numbers) < len(cells):
        return Estimate(len(cells), reason=_not_measured(control))
    return partial_spearman(pairs, _values(numbers), control.words.replace("The", "the", 1))


def _without_families(cells: Sequence[Cell], pairs: Pairs) -> list[dict[str, Any]]:
    names = np.asarray([cell.family for cell in cells], dtype=object)
    sections = list[dict[str, Any]]()
    for family in dict.fromkeys(cell.family for cell in cells if cell.family is not None):
        kept = names != family
        found = spearman_value(Pairs(pairs.x[kept], pairs.y[kept], pairs.names))
        sections.append({"family": family, "n": found.n, "spearman": found.to_dict()})
    return sections
