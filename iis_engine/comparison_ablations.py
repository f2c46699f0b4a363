"""How far the answer hangs on the settings of the metric: on M and on the sparsity grid (the paper's Tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from iis_engine.comparison_cells import Cell, Setting, group
from iis_engine.curve import trapezoid
from iis_engine.nodes import SAME_SPARSITY, kept_count
from iis_engine.protocols import PAPER_SPARSITIES
from iis_engine.rank_correlation import Pairs, as_values, kendall, spearman

DEFAULT_CONCEPT_COUNT = 200


def concept_counts(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """IIS by M for each model, and how like the default the other M order the models; only where there are several M."""
    answers = list[dict[str, Any]]()
    for setting, found in group(cells, lambda cell: replace(cell.setting, concept_count=0)).items():
        counts = sorted({cell.setting.concept_count for cell in found})
        if len(counts) < 2:
            continue
        default = DEFAULT_CONCEPT_COUNT if DEFAULT_CONCEPT_COUNT in counts else counts[-1]
        by_count = {count: {cell.model: cell for cell in found if cell.setting.concept_count == count} for count in counts}
        answers.append(
            {
                **{name: value for name, value in setting.to_dict().items() if name != "concept_count"},
                "concept_counts": counts,
                "default": default,
                "models": [
                    own[0].named() | {"values": [_of_count(cell) for cell in sorted(own, key=lambda cell: cell.setting.concept_count)]}
                    for own in group(found, lambda cell: cell.model).values()
                ],
                "order": [_same_order(by_count[default], by_count[count], count) for count in counts if count != default],
            }
        )
    return answers


def sparsity_grids(setting: Setting, cells: Sequence[Cell], grids: Sequence[Sequence[float]], protocol: str) -> dict[str, Any] | None:
    """The trapezoid of ARR over each grid in place of the usual nodes, and how like those it orders the models; None without grids.

    Between measured places ARR is read off the straight line; `interpolated` names the sparsities where that was needed.
    """
    if not grids:
        return None
    read = [cell for cell in cells if cell.iis is not None and not cell.near_chance]
    usual = {cell.model: _area(cell, PAPER_SPARSITIES, protocol)[0] for cell in read}
    return {
        **setting.to_dict(),
        "default": list(PAPER_SPARSITIES),
        "grids": [_over_grid(read, grid, protocol, usual) for grid in grids],
        "models": [cell.named() | {"default": usual[cell.model], "iis": cell.iis and cell.iis.to_dict()} for cell in read],
    }


def _of_count(cell: Cell) -> dict[str, Any]:
    return {
        "concept_count": cell.setting.concept_count,
        "iis": cell.iis and cell.iis.to_dict(),
        "iis_random": cell.random,
        "concept_gain": cell.gain and cell.gain.to_dict(),
        "near_chance": cell.near_chance,
    }


def _same_order(default: dict[str, Cell], other: dict[str, Cell], count: int) -> dict[str, Any]:
    both = [(default[model].iis, cell.iis) for model, cell in other.items() if model in default]
    values = [(ours.value, theirs.value) for ours, theirs in both if ours is not None and theirs is not None]
    pairs = Pairs(
        as_values([ours for ours, _ in values]), as_values([theirs for _, theirs in values]), ("IIS at the default", f"IIS at M = {count}")
    )
    return {"concept_count": count, "n": len(values), "spearman": spearman(pairs).to_dict(), "kendall": kendall(pairs).to_dict()}


def _over_grid(cells: Sequence[Cell], grid: Sequence[float], protocol: str, usual: dict[str, float | None]) -> dict[str, Any]:
    sparsities = sorted(set(grid))
    areas = [(cell, *_area(cell, sparsities, protocol)) for cell in cells]
    read = [(area, base) for cell, area, _ in areas if area is not None and (base := usual[cell.model]) is not None]
    pairs = Pairs(
        as_values([base for _, base in read]), as_values([area for area, _ in read]), ("The usual grid's area", "This grid's area")
    )
    return {
        "sparsities": sparsities,
        "models": [cell.named() | {"area": area} for cell, area, _ in areas],
        "interpolated": sorted({s for _, _, between in areas for s in between}),
        "n": len(read),
        "spearman": spearman(pairs).to_dict(),
        "kendall": kendall(pairs).to_dict(),
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
    for curve in cell.curves:
        values = [_arr_at(curve, sparsity, protocol) for sparsity in sparsities]
        if any(value is None for value in values):
            return None, []
        between |= {sparsity for sparsity, value in zip(sparsities, values, strict=True) if value is not None and not value[1]}
        areas.append(float(trapezoid(as_values([value[0] for value in values if value is not None]), as_values(sparsities))))
    return float(np.mean(areas)), sorted(between)


def _arr_at(curve: Sequence[tuple[float, int, float, float]], sparsity: float, protocol: str) -> tuple[float, bool] | None:
    """ARR at a sparsity and whether it was measured there: at the very place, or where as many concepts are kept as it keeps."""
    for s, _, _, arr in curve:
        if abs(s - sparsity) <= SAME_SPARSITY:
            return arr, True
    if protocol == "exact":
        kept = kept_count(max(k for _, k, _, _ in curve), sparsity)
        for _, k, _, arr in curve:
            if k == kept:
                return arr, True
    at = sorted(curve)
    if not at[0][0] <= sparsity <= at[-1][0]:
        return None
    return float(np.interp(sparsity, [s for s, *_ in at], [arr for *_, arr in at])), False
