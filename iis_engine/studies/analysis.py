"""A study's statistics from the rows of its finished jobs, one section per question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from iis_engine.studies.ablations import concept_counts, sparsity_grids
from iis_engine.studies.accuracy_relation import relations
from iis_engine.studies.cells import Cell, by_setting, read_cells
from iis_engine.studies.contrasts import agreement, transfer, untrained
from iis_engine.studies.evolution import evolution

NOT_INDEPENDENT = (
    "The checkpoints of one run are not independent: a correlation over them describes this run alone, and its interval and p overstate "
    "how certain it is."
)
TWO_EDITIONS = (
    "The rows are of two editions of the activations, whose numbers do not compare: each section is of one edition. Make another study, or "
    "extend this one, so that all jobs are of one edition."
)
TWO_QUANTITIES = (
    "Rows of single-label data retain accuracy and rows of multi-label data mean average precision, which do not compare: each "
    "section is of one of them."
)


def analyse(rows: Sequence[dict[str, Any]], grid: dict[str, Any]) -> dict[str, Any]:
    """The statistics of a study (METHOD §6).

    Parameters
    ----------
    rows : one per finished job, as `app.db.study_rows` reads them: model, setting, seed, protocol, edition, quantity, accuracy, chance,
        IIS, the IIS of both controls and the gains over them, and points [[sparsity, kept, accuracy, arr], …]
    grid : models, the ids in their order; evolution, whether they are checkpoints of one run; sparsity_grids, [[s, …], …] or None

    Returns
    -------
    JSON-ready sections; an undefined value is None beside the reason, and none is NaN.
    """
    cells = read_cells(rows, grid["models"])
    protocol = rows[0]["protocol"] if rows else "exact"
    settings = by_setting(cells)
    found_relations = relations(settings)
    grids = [
        over for setting, found in settings.items() if (over := sparsity_grids(setting, found, grid["sparsity_grids"] or (), protocol))
    ]
    return {
        "rows": len(rows),
        "models": len({cell.model for cell in cells}),
        "claims": _claims(found_relations),
        "relation": found_relations,
        "evolution": [evolution(setting, found) for setting, found in settings.items()] if grid["evolution"] else [],
        "concept_counts": concept_counts(cells),
        "sparsity_grids": grids,
        "agreement": agreement(cells),
        "transfer": transfer(cells),
        "untrained": untrained(cells),
        "warnings": _warnings(rows, cells, evolves=grid["evolution"]),
    }


def _claims(relations: Sequence[dict[str, Any]]) -> int:
    """The correlations whose p is adjusted as one family."""
    against = [found for section in relations for which in ("accuracy", "given_accuracy") if (found := section[which]) is not None]
    estimates = [estimate for found in against for estimate in (found["spearman"], *found["gains"].values())]
    return sum(estimate["p_holm"] is not None for estimate in estimates)


def _warnings(rows: Sequence[dict[str, Any]], cells: Sequence[Cell], *, evolves: bool) -> list[str]:
    warnings = list[str]()
    near = list(dict.fromkeys(cell.label for cell in cells if cell.near_chance))
    if near:
        warnings.append(
            f"Near chance, and so excluded from every comparison: {', '.join(near[:10])}{' and others' if len(near) > 10 else ''}. "
            "Their ARR divides by a value no better than guessing."
        )
    if len({row["protocol"] for row in rows}) > 1:
        warnings.append("The rows are of two protocols, whose numbers cannot be compared.")
    if len({cell.setting.edition for cell in cells}) > 1:
        warnings.append(TWO_EDITIONS)
    if len({cell.setting.quantity for cell in cells}) > 1:
        warnings.append(TWO_QUANTITIES)
    if len({cell.seeds for cell in cells}) > 1:
        warnings.append("Not every cell has all seeds yet, so some values are means over fewer seeds.")
    measured = {(cell.model, replace(cell.setting, edition=0, quantity="")) for cell in cells}
    expected = len({model for model, _ in measured}) * len({setting for _, setting in measured})
    if len(measured) < expected:
        warnings.append(f"{expected - len(measured)} of {expected} cells have no result, so some comparisons are over fewer models.")
    if evolves:
        warnings.append(NOT_INDEPENDENT)
    return warnings
