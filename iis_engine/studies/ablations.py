"""Ablations of M and of the sparsity grid (the paper's Tables 2 and 3)."""

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

_kept_count = lru_cache(maxsize=8192)(kept_count)  # the same sparsities recur for every model


def concept_counts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS by M for each model, and the rank correlation of each M with the default M; one section per setting with several M."""
    sections = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: replace(cell.setting, concept_count=0)).items():
        counts = sorted({cell.setting.concept_count for cell in found})
        if len(counts) < 2:
            continue
        default = DEFAULT_CONCEPT_COUNT if DEFAULT_CONCEPT_COUNT in counts else counts[-1]
        compared = [cell for cell in found if cell.iis_compared is not None]
        by_count = {count: [cell for cell in compared if cell.setting.concept_count == count] for count in counts}
        sections.append(
            {
                **{name: value for name, value in setting.to_dict().items() if name != "concept_count"},
                "concept_counts": counts,
                "default": default,
                "models": [
                    own[0].named() | {"values": [_of_count(cell) for cell in sorted(own, key=lambda cell: cell.setting.concept_count)]}
                    for own in group(compared, lambda cell: cell.model).values()
                ],
                "left_out": left_out(found),
                "order": [_order(by_count[default], by_count[count], count) for count in counts if count != default],
            }
        )
    return sections


def sparsity_grids(setting: Setting, cells: Sequence[Cell], grids: Sequence[Sequence[float]], protocol: str) -> dict[str, Any] | None:
    """∫ ARR ds over each grid by the trapezoid rule, and its rank correlation with that over the paper's grid; None without grids.

    ARR is interpolated linearly between measured sparsities; `interpolated` lists the sparsities where it was.

    Parameters
    ----------
    grids : sparsities of each grid
    protocol : exact or reference
    """
    if not grids:
        return None
    compared = [cell for cell in cells if cell.iis_compared is not None]
    paper = {cell.model: _area(cell, PAPER_SPARSITIES, protocol)[0] for cell in compared}
    return {
        **setting.to_dict(),
        "default": list(PAPER_SPARSITIES),
        "grids": [_over_grid(compared, grid, protocol, paper) for grid in grids],
        "models": [cell.named() | {"default": paper[cell.model], "iis": cell.iis and cell.iis.to_dict()} for cell in compared],
        "left_out": left_out(cells),
    }


def _of_count(cell: Cell) -> dict[str, Any]:
    return {
        "concept_count": cell.setting.concept_count,
        "iis": cell.iis and cell.iis.to_dict(),
        "few_concepts_mean": cell.few_concepts_mean and cell.few_concepts_mean.to_dict(),
        **cell.controls_named(),
    }


def _order(default: Sequence[Cell], other: Sequence[Cell], count: int) -> dict[str, Any]:
    names = "IIS at the default", f"IIS at M = {count}"
    return {"concept_count": count, **same_order(Pairs.of(shared_iis(default, other), names))}


def _over_grid(cells: Sequence[Cell], grid: Sequence[float], protocol: str, paper: dict[str, float | None]) -> dict[str, Any]:
    sparsities = sorted(set(grid))
    areas = [(cell, *_area(cell, sparsities, protocol)) for cell in cells]
    pairs = [(base, area) for cell, area, _ in areas if area is not None and (base := paper[cell.model]) is not None]
    return {
        "sparsities": sparsities,
        "models": [cell.named() | {"area": area} for cell, area, _ in areas],
        "interpolated": sorted({s for _, _, between in areas for s in between}),
        **same_order(Pairs.of(pairs, ("The area over the paper's grid", "The area over this grid"))),
        "sentence": _reason_without_area(sparsities, areas),
    }


def _reason_without_area(sparsities: Sequence[float], areas: Sequence[tuple[Cell, float | None, list[float]]]) -> str | None:
    if len(sparsities) < 2:
        return "A grid needs at least two sparsities."
    missing = [cell.label for cell, area, _ in areas if area is None]
    if missing:
        return f"This grid exceeds the measured range of {', '.join(missing[:5])}: the curve ends before {sparsities[-1]:g}."
    return None


def _area(cell: Cell, sparsities: Sequence[float], protocol: str) -> tuple[float | None, list[float]]:
    """∫ ARR ds over a grid by the trapezoid rule, mean over the seeds, and the sparsities where ARR is interpolated."""
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
    """ARR at sparsities (n,), and whether it was measured there: at the same sparsity or the same number of kept concepts.

    It is interpolated linearly between measured nodes, and NaN beyond them.
    """
    s, kept, _, arr = np.asarray(sorted(curve)).T
    measured = np.abs(s - sparsities[:, None]) <= SAME_SPARSITY
    if protocol == "exact":
        measured |= kept == np.asarray([_kept_count(int(kept.max()), sparsity) for sparsity in sparsities.tolist()])[:, None]
    found = measured.any(axis=1)
    return np.where(found, arr[measured.argmax(axis=1)], np.interp(sparsities, s, arr, np.nan, np.nan)), found
