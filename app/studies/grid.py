"""From a study's grid to its cells and the jobs they ask for. Pure: it looks at no row and writes none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from iis_schemas.names import VISUAL_KINDS
from iis_schemas.studies import StudyGrid


@dataclass(frozen=True)
class Cell:
    """One place of the grid.

    Attributes
    ----------
    model : None where the data set holds ready features
    library : place in the grid's libraries
    concept_count : M; of a combined library the sum
    library_dataset : None for the scored data set itself
    """

    model: str | None
    dataset: str
    library: int
    concept_count: int
    library_dataset: str | None
    seed: int


def count_cells(grid: StudyGrid) -> int:
    """How many cells `expand` makes, without making any."""
    origins = set(grid.library_datasets)
    places = 0
    for library in range(len(grid.libraries)):
        sizes = len(_concept_counts(grid, library))
        if not _is_cut(grid, library):
            places += sizes * len(grid.datasets)
            continue
        places += sum(sizes * len({None if origin == dataset else origin for origin in origins}) for dataset in grid.datasets)
    return max(len(grid.models), 1) * places * len(grid.seeds)


def expand(grid: StudyGrid) -> list[Cell]:
    """The grid's cells: every combination, the models outermost and the seeds innermost.

    A library that is cut from no images stands there once, whichever data sets libraries are cut from; cutting from another data set
    is the same as cutting from the scored one where the two are one.
    """
    models = [entry.model for entry in grid.models] or [None]
    return [
        Cell(model, dataset, library, concept_count, origin, seed)
        for model in models
        for dataset in grid.datasets
        for library in range(len(grid.libraries))
        for concept_count in _concept_counts(grid, library)
        for origin in _origins(grid, library, dataset)
        for seed in grid.seeds
    ]


def job_spec(grid: StudyGrid, cell: Cell) -> dict[str, Any]:
    """The request of a cell's job, as the row of a score job keeps it."""
    choice = grid.libraries[cell.library]
    has_text = "text" in choice.kinds
    return {
        "model": cell.model,
        "dataset": cell.dataset,
        "library": choice.model_copy(update={"concept_count": cell.concept_count}).to_spec(),
        "library_dataset": cell.library_dataset,
        "elements": grid.elements.model_dump(),
        "protocol": grid.protocol,
        "seed": cell.seed,
        "vlm": grid.vlm if has_text else None,
        "vocabulary": grid.vocabulary.model_dump() if has_text and grid.vocabulary is not None else None,
    }


def request_digest(spec: dict[str, Any]) -> str:
    """The same for two jobs that ask for the same; a field that says nothing counts as one that is not there."""
    said = {name: value for name, value in spec.items() if value is not None}
    return sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _concept_counts(grid: StudyGrid, library: int) -> list[int]:
    choice = grid.libraries[library]
    if grid.concept_counts is None or choice.kind == "combined":
        return [choice.to_spec()["concept_count"]]
    return grid.concept_counts


def _is_cut(grid: StudyGrid, library: int) -> bool:
    """Whether every concept of a library is a crop of an image, or made of some; `reference` trains End2End's on the scored images."""
    choice = grid.libraries[library]
    return choice.kinds <= set(VISUAL_KINDS) and (grid.protocol, choice.kind) != ("reference", "end2end")


def _origins(grid: StudyGrid, library: int, dataset: str) -> list[str | None]:
    if not _is_cut(grid, library):
        return [None]
    return list(dict.fromkeys(None if origin == dataset else origin for origin in grid.library_datasets))
