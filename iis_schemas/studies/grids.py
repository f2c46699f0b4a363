"""A study's grid and its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iis_schemas.jobs.views import VocabularyView
from iis_schemas.names import VISUAL_KINDS
from iis_schemas.studies.requests import ModelEntry, StudyChoices, StudyGrid


def first_grid(request: StudyChoices, vocabulary: VocabularyView | None, models: Sequence[ModelEntry] | None = None) -> StudyGrid:
    """The grid that a request asks for.

    Parameters
    ----------
    models : of the request, its layers written out; the request has no layers unless given
    """
    return StudyGrid(
        models=[entry.without_layers() for entry in request.models] if models is None else list(models),
        datasets=request.datasets,
        libraries=request.libraries,
        concept_counts=request.concept_counts,
        library_datasets=request.library_datasets or [None],
        sparsity_grids=request.sparsity_grids,
        seeds=request.seeds or [0],
        protocol=request.protocol,
        activations=request.activations,
        elements=request.elements,
        vlm=request.vlm,
        vocabulary=vocabulary,
        evolution=request.evolution,
        deadline_seconds=request.deadline_seconds,
    )


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

    A library that is not cut from images has one cell whichever data sets libraries are cut from; the scored data set among these counts
    as the scored one.
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


def _concept_counts(grid: StudyGrid, library: int) -> list[int]:
    choice = grid.libraries[library]
    if grid.concept_counts is None or choice.kind == "combined":
        return [choice.to_spec()["concept_count"]]
    return grid.concept_counts


def _is_cut(grid: StudyGrid, library: int) -> bool:
    """Whether the concepts of a library are cut from images; `reference` trains those of End2End on the scored images."""
    choice = grid.libraries[library]
    return choice.kinds <= set(VISUAL_KINDS) and (grid.protocol, choice.kind) != ("reference", "end2end")


def _origins(grid: StudyGrid, library: int, dataset: str) -> list[str | None]:
    if not _is_cut(grid, library):
        return [None]
    return list(dict.fromkeys(None if origin == dataset else origin for origin in grid.library_datasets))
