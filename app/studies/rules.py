"""Rules of a study's grid that need the rows it names. The others are in iis_schemas.studies.rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.db.models import Dataset, Model
from app.errors import InvalidInput
from iis_schemas.studies.requests import StudyGrid
from iis_schemas.studies.rules import GridFault, Network, require_checkpoints, require_kinds_together, require_models
from iis_schemas.studies.rules import require_whole as require_whole_grid

NAMED = 3  # classes that an error names


def require_whole(grid: StudyGrid) -> None:
    """Refuse a grid without cells, or with too many, or whose fields contradict each other.

    Raises
    ------
    InvalidInput
    """
    try:
        require_whole_grid(grid)
    except GridFault as fault:
        raise _refusal(fault) from fault


def require_fitting_grid(
    grid: StudyGrid, models: Mapping[str, Model], datasets: Mapping[str, Dataset], other_kinds: Mapping[str, str]
) -> None:
    """Refuse models, data sets and libraries that do not go together.

    Parameters
    ----------
    models, datasets : by id, all registered ones that the grid names
    other_kinds : of the data sets that are not registered yet, by their names in the grid

    Raises
    ------
    InvalidInput
    """
    kinds = {dataset.id: dataset.kind for dataset in datasets.values()} | dict(other_kinds)
    try:
        require_kinds_together(grid, kinds)
        require_models(grid, kinds)
        if grid.evolution:
            networks = {row.id: Network(row.architecture, row.arguments, row.layer) for row in models.values()}
            require_checkpoints(grid.models, networks)
    except GridFault as fault:
        raise _refusal(fault) from fault
    _require_same_classes([datasets[name] for name in grid.datasets if name in datasets and kinds[name] == "features"])


def _refusal(fault: GridFault) -> InvalidInput:
    return InvalidInput(str(fault), code=fault.code, param=fault.param)


def _require_same_classes(ready: Sequence[Dataset]) -> None:
    """Refuse data sets of ready features, which are representations of the same data, whose classes differ."""
    for other in ready[1:]:
        first = ready[0]
        expected, found = (_class_names(dataset) for dataset in (first, other))
        if expected == found:
            continue
        sides = ((first, expected, set(found)), (other, found, set(expected)))
        only = [f"{name!r} is in {holder.id} alone" for holder, own, theirs in sides for name in own if name not in theirs]
        how = "; ".join(only[:NAMED]) if only else "their order differs"
        raise InvalidInput(
            f"Data sets {first.id} and {other.id} are compared as representations of the same data, but their classes differ: {how}."
            " Give both the same class names in the same order, or make a study of each.",
            code="class_sets_differ",
            param="datasets",
        )


def _class_names(dataset: Dataset) -> list[str]:
    return (dataset.info or {}).get("class_names") or []
