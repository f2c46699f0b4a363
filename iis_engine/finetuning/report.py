"""Comparison of fine-tuned networks with their controls: paired differences over seeds, intervals and sentences. It imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from iis_engine.errors import SettingError
from iis_engine.protocols import CONFIDENCE
from iis_engine.scoring.curve import mean_interval
from iis_engine.specs import TrainedPart

TRAINED = "accuracy_trained"
MEASURES = {"accuracy": "accuracy_representation", "iis": "iis", TRAINED: TRAINED}
"""Compared measures, and their fields in a report."""
TITLES = {"accuracy": "Accuracy", "iis": "IIS", TRAINED: "Accuracy as trained"}
OF_F_ALONE = ("accuracy", "iis")
FROZEN = "f was frozen and scoring solves the heads anew"
SAME = 1e-9  # differences are equal but for rounding
PAIRS = (("treatment", "control"), ("treatment", "probe"), ("control", "probe"))
ARM_NAMES = {"treatment": "with interpretability maximisation", "control": "in the control", "probe": "in the network as it was"}


def compare_runs(
    probe: Mapping[str, Any],
    treatment: Sequence[Mapping[str, Any]],
    control: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    trains: TrainedPart = "all",
) -> dict[str, Any]:
    """Compare fine-tuned networks with λ > 0 (treatment), with λ = 0 (control) and the network as it was (probe).

    Parameters
    ----------
    probe : the report of the unchanged network, as `IISReport.to_dict` gives it
    treatment, control : one report per seed, in the order of `seeds`; their entry `accuracy_trained`, the accuracy of the trained head, is
        compared where all have it
    trains : the trained part; with `head` the sentences say that f was frozen

    Returns
    -------
    JSON-ready: `seeds`, and for `accuracy` (of the representation, its head solved anew), `iis` and, where every run has one,
    `accuracy_trained` (of which the probe's is that of its solved head) the `values` of each arm, their `means`, and `differences` such as
    `treatment_minus_control`: `values` by seed, `mean`, `low` and `high` of a 95 % interval by Student's t over the seeds, and a
    `sentence`. An IIS that was withheld leaves None. There is no interval with one seed, nor where every seed has the same difference
    above or below 0, as accuracies on few images can: no spread was seen to make one of.

    Raises
    ------
    SettingError
        When the arms do not have one report a seed.

    Examples
    --------
    >>> report = lambda accuracy, iis: {"accuracy_representation": accuracy, "iis": iis}
    >>> arms = [report(0.9, 0.8), report(0.92, 0.84)], [report(0.9, 0.7), report(0.9, 0.74)]
    >>> difference = compare_runs(report(0.88, 0.7), *arms, [0, 1])["iis"]["differences"]["treatment_minus_control"]
    >>> [round(value, 6) for value in difference["values"]]
    [0.1, 0.1]
    """
    if not seeds or len(treatment) != len(seeds) or len(control) != len(seeds):
        raise SettingError(
            f"Each seed needs one run of each arm; there are {len(seeds)} seeds, {len(treatment)} treatments, {len(control)} controls.",
            param="seeds",
        )
    named = MEASURES if all(TRAINED in report for report in (*treatment, *control)) else OF_F_ALONE
    compared = {name: _compared(name, {TRAINED: probe["accuracy_representation"], **probe}, treatment, control) for name in named}
    if trains == "head":
        for name in OF_F_ALONE:
            for difference in compared[name]["differences"].values():
                difference["sentence"] = f"{FROZEN}, so {TITLES[name]} cannot change. {difference['sentence']}"
    return {"seeds": list(seeds), **compared}


def _compared(
    name: str, probe: Mapping[str, Any], treatment: Sequence[Mapping[str, Any]], control: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    field = MEASURES[name]
    values: dict[str, list[float | None]] = {
        "probe": [probe[field]],
        "treatment": [report[field] for report in treatment],
        "control": [report[field] for report in control],
    }
    return {
        "values": {**values, "probe": probe[field]},
        "means": {arm: _mean(given) for arm, given in values.items()},
        "differences": {f"{one}_minus_{other}": _difference(name, one, other, values) for one, other in PAIRS},
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _difference(name: str, one: str, other: str, values: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    first = values[one]
    second = [*values[other]] * len(first) if other == "probe" else values[other]
    paired = [None if a is None or b is None else a - b for a, b in zip(first, second, strict=True)]
    known = [value for value in paired if value is not None]
    title, where = TITLES[name], f"{ARM_NAMES[one]} than {ARM_NAMES[other]}"
    if len(known) < len(paired):
        sentence = f"{title} {ARM_NAMES[one]} and {ARM_NAMES[other]} cannot be compared: a network no better than chance has none."
        return {"values": paired, "mean": None, "low": None, "high": None, "sentence": sentence}
    mean = float(np.mean(known))
    if len(known) < 2:
        sentence = f"{title} is {_signed(mean)} {where}; one seed gives no interval."
        return {"values": paired, "mean": mean, "low": None, "high": None, "sentence": sentence}
    if max(known) - min(known) <= SAME and abs(mean) > SAME:
        sentence = f"{title} is {_signed(mean)} {where} in each of {len(known)} seeds alike, so that there is no interval."
        return {"values": paired, "mean": mean, "low": None, "high": None, "sentence": sentence}
    _, low, high = mean_interval(np.asarray(known), CONFIDENCE)
    interval = f"{_signed(mean)}, 95 % interval {_signed(low)} to {_signed(high)} over {len(known)} seeds"
    if max(known) - min(known) <= SAME:
        sentence = f"{title} is the same {ARM_NAMES[one]} as {ARM_NAMES[other]}, in each of {len(known)} seeds."
    elif low > 0 or high < 0:
        sentence = f"{title} is {'higher' if low > 0 else 'lower'} {where} ({interval})."
    else:
        sentence = f"No difference beyond noise: {title} {ARM_NAMES[one]} minus {title} {ARM_NAMES[other]} is {interval}."
    return {"values": paired, "mean": mean, "low": low, "high": high, "sentence": sentence}


def _signed(value: float) -> str:
    return f"{value:+.4f}"
