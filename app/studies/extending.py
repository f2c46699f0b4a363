"""The union of a study's grid and an extension. It reads no rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from app.errors import InvalidInput
from iis_schemas.jobs.libraries import LibraryChoice
from iis_schemas.jobs.views import VocabularyView
from iis_schemas.studies.requests import ModelEntry, StudyExtend, StudyGrid

DEFAULT_CONCEPTS = 200

Value = TypeVar("Value")


def extended_grid(
    grid: StudyGrid, request: StudyExtend, vocabulary: VocabularyView | None, models: Sequence[ModelEntry] | None = None
) -> StudyGrid:
    """The union of a grid and an extension. Facts about a model replace earlier facts about it.

    Parameters
    ----------
    vocabulary : the version that the extended study uses
    models : of the extension, its layers written out; the extension has no layers unless given

    Raises
    ------
    InvalidInput
        When a field that a study has but one of is to become another.
    """
    for name in ("protocol", "activations", "elements", "evolution", "vlm"):
        wanted, had = getattr(request, name), getattr(grid, name)
        if wanted is not None and wanted != had and had is not None:
            raise InvalidInput(
                f"A study has one {name} for all of its jobs; leave {name} out, or make another study.", code="study_fixed", param=name
            )
    counts = grid.concept_counts
    if request.concept_counts is not None:
        counts = _union([DEFAULT_CONCEPTS] if counts is None else counts, request.concept_counts)
    return StudyGrid(
        models=_models(grid, [entry.without_layers() for entry in request.models] if models is None else models),
        datasets=_union(grid.datasets, request.datasets),
        libraries=_libraries(grid.libraries, request.libraries),
        concept_counts=counts,
        library_datasets=_union(grid.library_datasets, request.library_datasets or []),
        sparsity_grids=_union(grid.sparsity_grids, request.sparsity_grids),
        seeds=_union(grid.seeds, request.seeds or []),
        protocol=grid.protocol,
        activations=grid.activations,
        elements=grid.elements,
        vlm=grid.vlm or request.vlm,
        vocabulary=vocabulary,
        evolution=grid.evolution,
        deadline_seconds=request.deadline_seconds or grid.deadline_seconds,
    )


def same_vocabulary(had: VocabularyView, named: str) -> bool:
    """Whether a name means the version that a study uses; a name without a number means that one."""
    concept_set_id, _, number = named.partition("@")
    return had.id == concept_set_id and number in ("", str(had.version))


def _union(had: Sequence[Value], added: Sequence[Value]) -> list[Value]:
    return [*had, *(value for value in added if value not in had)]


def _libraries(had: Sequence[LibraryChoice], added: Sequence[LibraryChoice]) -> list[LibraryChoice]:
    known = [library.to_spec() for library in had]
    return [*had, *(library for library in added if library.to_spec() not in known)]


def _models(grid: StudyGrid, added: Sequence[ModelEntry]) -> list[ModelEntry]:
    news = {entry.model: entry for entry in added}
    updated = [
        entry.model_copy(update=news.pop(entry.model).model_dump(exclude_unset=True)) if entry.model in news else entry
        for entry in grid.models
    ]
    entries = [*updated, *news.values()]
    if grid.evolution and all(entry.epoch is not None for entry in entries):  # a checkpoint may be added between earlier ones
        entries.sort(key=lambda entry: entry.epoch or 0.0)
    return entries
