"""How far the answer hangs on the settings of the metric: on M and on the sparsity grid (the paper's Tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iis_engine.nodes import SAME_SPARSITY, kept_count
from iis_engine.protocols import PAPER_SPARSITIES
from iis_engine.scoring.curve import trapezoid
from iis_engine.studies.cells import Cell, Setting, group, left_out, shared_iis
from iis_engine.studies.rank_correlation import Array, Pairs, as_values, same_order

DEFAULT_CONCEPT_COUNT = 200

_kept_count = lru_cache(maxsize=8192)(kept_count)  # asked the same for every model


def concept_counts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS by M for each model, and how like the default the other M order the models; only where there are several M."""
    answers = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: replace(cell.setting, concept_count=0)).items():
        counts = sorted({cell.setting.concept_count for cell in found})
        if len(counts) < 2:
            continue
        default = DEFAULT_CONCEPT_COUNT if DEFAULT_CONCEPT_COUNT in counts else counts[-1]
        read = [cell for cell in found if cell.iis_compared is not None]
        by_count = {count: [cell for cell in read if cell.setting.concept_count == count] for count in counts}
        answers.append(
            {
                **{name: value for name, value in setting.to_dict().items() if name != "concept_count"},
                "concept_counts": counts,
                "default": default,
                "models": [
                    own[0].named() | {"values": [_of_count(cell) for cell in sorted(own, key=lambda cell: cell.setting.concept_count)]}
                    for own in group(read, lambda cell: cell.model).values()
                ],
                "left_out": left_out(found),
                "order": [_order(by_count[default], by_count[count], count) for count in counts if count != default],
            }
        )
    return answers


def sparsity_grids(setting: Setting, cells: Sequence[Cell], grids: Sequence[Sequence[float]], protocol: str) -> dict[str, Any] | None:
    """The trapezoid of ARR over each grid in place of the usual nodes, and how like those it orders the models; None without grids.

    Between measured places ARR is read off the straight line; `interpolated` names the sparsities where that was needed.
    """
    if not grids:
        return None
    read = [cell for cell in cells if cell.iis_compared is not None]
    usual = {cell.model: _area(cell, PAPER_SPARSITIES, protocol)[0] for cell in read}
    return {
        **setting.to_dict(),
        "default": list(PAPER_SPARSITIES),
        "grids": [_over_grid(read, grid, protocol, usual) for grid in grids],
        "models": [cell.named() | {"default": usual[cell.model], "iis": cell.iis and cell.iis.to_dict()} for cell in read],
        "left_out": left_out(cells),
    }


def _of_count(cell: Cell) -> dict[str, Any]:
    return {
        "concept_count": cell.setting.concept_count,
        "iis": cell.iis and cell.iis.to_dict(),
        "iis_random": cell.random,
        "concept_gain": cell.gain and cell.gain.to_dict(),
    }


def _order(default: Sequence[Cell], other: Sequence[Cell], count: int) -> dict[str, Any]:
    names = "IIS at the default", f"IIS at M = {count}"
    return {"concept_count": count, **same_order(Pairs.of(shared_iis(default, other), names))}


def _over_grid(cells: Sequence[Cell], grid: Sequence[float], protocol: str, usual: dict[str, float | None]) -> dict[str, Any]:
    sparsities = sorted(set(grid))
    areas = [(cell, *_area(cell, sparsities, protocol)) for cell in cells]
    read = [(base, area) for cell, area, _ in areas if area is not None and (base := usual[cell.model]) is not None]
    return {
        "sparsities": sparsities,
        "models": [cell.named() | {"area": area} for cell, area, _ in areas],
        "interpolated": sorted({s for _, _, between in areas for s in between}),
        **same_order(Pairs.of(read, ("The usual grid's area", "This grid's area"))),
        "sentence": _reach(sparsities, areas),
    }


def _reach(sparsities: Sequence[float], areas: Sequence[tuple[Cell, float | None, list[float]]]) -> str | None:
    if len(sparsities) < 2:
        return "One sparsity encloses no area; give at least two."
    missing = [cell.label for cell, area, _ in areas if area is None]
    if missing:
        return f"This grid leaves the measured range of {', '.join(missing[:5])}: the curve ends before {sparsities[-1]:g}."
    return None


def _area(cell: Cell, sparsities: Sequence[float], protocol: str) -> tuple[float | None, list[float]]:
    """∫ ARR ds over a grid by the trapezoid rule, the mean of the seeds, and which places lie between measured ones."""
    if len(sparsities) < 2:
        return None, []
    areas, between = list[float](), set[float]()
    at = as_values(sparsities)
    for curve in cell.curves:
        arr, measured = _arr_at(curve, at, protocol)
        if np.isnan(arr).any():
            return None, []
        between |= set(at[~measured].tolist())
        areas.append(float(trapezoid(arr, at)))
    return float(np.mean(areas)), sorted(between)


def _arr_at(curve: Sequence[tuple[float, int, float, float]], sparsities: Array, protocol: str) -> tuple[Array, NDArray[np.bool_]]:
    """ARR at sparsities, and whether it was measured there: at the very place, or where as many concepts are kept as there.

    Between measured places it is read off the straight line; beyond them it is not a number.
    """
    s, kept, _, arr = np.asarray(sorted(curve)).T
    measured = np.abs(s - sparsities[:, None]) <= SAME_SPARSITY
    if protocol == "exact":
        measured |= kept == np.asarray([_kept_count(int(kept.max()), sparsity) for sparsity in sparsities.tolist()])[:, None]
    found = measured.any(axis=1)
    return np.where(found, arr[measured.argmax(axis=1)], np.interp(sparsities, s, arr, np.nan, np.nan)), found
