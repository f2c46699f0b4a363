"""Cells of a study as its analysis reads them: one row per finished job."""

from __future__ import annotations

from typing import Any

GRID: dict[str, Any] = {"name": "study", "models": [], "evolution": False, "sparsity_grids": None}
LINE = [[0.0, 10, 0.8, 1.0], [0.5, 5, 0.6, 0.75], [1.0, 0, 0.1, 0.125]]
_ENDS = (("", 0.0), ("_low", -0.01), ("_high", 0.01))


def row(model: str, accuracy: float, iis: float | None, **values: Any) -> dict[str, Any]:
    """A finished job, with intervals of ± .01."""
    near = values.pop("near_chance", iis is None)
    measured = iis is not None
    isotropic = 0.5 + 0.01 * (sum(model.encode()) * 5 % 7) if measured else None
    matched = 0.6 + 0.01 * (sum(model.encode()) * 3 % 5) if measured else None
    defaults = {
        "iis": iis,
        "few_concepts_mean": accuracy - 0.1 if measured else None,
        "iis_isotropic": isotropic,
        "iis_matched": matched,
        "gain_isotropic": None if iis is None else iis - 0.5,
        "gain_matched": None if iis is None else iis - 0.6,
        "few_gain_isotropic": accuracy - 0.3 if measured else None,
        "few_gain_matched": accuracy - 0.4 if measured else None,
        "iis_chance_corrected": iis,
        "iis_log": iis,
    }
    numbers = {name: values.pop(name, value) for name, value in defaults.items()}
    return {
        "job": f"job_{model}",
        "model": model,
        "label": model,
        "family": None,
        "given_accuracy": None,
        "epoch": None,
        "network": "timm:resnet18",
        "untrained": False,
        "dataset": "dst_a",
        "dataset_name": "birds",
        "library": "prototype",
        "concept_count": 10,
        "library_dataset": None,
        "library_dataset_name": None,
        "seed": 0,
        "protocol": "exact",
        "edition": 2,
        "quantity": "accuracy",
        "verdict": "too_close_to_chance" if near else "reads_through_concepts",
        "accuracy": accuracy,
        "accuracy_low": accuracy - 0.01,
        "accuracy_high": accuracy + 0.01,
        "chance": 0.1,
        "near_chance": near,
        "points": LINE,
        **{f"{name}{end}": None if value is None else value + shift for name, value in numbers.items() for end, shift in _ENDS},
        **values,
    }
