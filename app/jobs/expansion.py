"""Embed the resources that jobs name: one query each for models, data sets and concept libraries, whatever the number of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, get_args

from fastapi import Depends, Query
from sqlalchemy.orm import Session

from app.concept_libraries.repository import ConceptLibraryRepository
from app.concept_libraries.views import library_view
from app.datasets.repository import DatasetRepository
from app.datasets.views import view_with
from app.errors import InvalidInput
from app.models.repository import ModelRepository
from app.models.views import view_of as model_view
from iis_schemas.jobs.expansions import ExpandedResources
from iis_schemas.jobs.views import AnyJobView
from iis_schemas.names import JobExpansion

NAMES: tuple[str, ...] = get_args(JobExpansion)
MODELS = ("model", "vlm")
DATASETS = ("dataset", "library_dataset")
MAX_CHARACTERS = 200


async def _names(
    expand: Annotated[
        str | None,
        Query(max_length=MAX_CHARACTERS, description=f"Resources to embed in `expanded`, separated by commas: {', '.join(NAMES)}."),
    ] = None,
) -> tuple[str, ...]:
    if expand is None:
        return ()
    names = tuple(name.strip() for name in expand.split(","))
    unknown = next((name for name in names if name not in NAMES), None)
    if unknown is not None:
        known = f"{', '.join(NAMES[:-1])} and {NAMES[-1]}"
        raise InvalidInput(f"expand embeds {known}, separated by commas; {unknown!r} is none of them.", param="expand")
    return names


Expansions = Annotated[tuple[str, ...], Depends(_names)]


def expand_jobs(session: Session, owner_id: str, jobs: Sequence[AnyJobView], names: Iterable[str]) -> Sequence[AnyJobView]:
    """The jobs with `expanded` resources of these names."""
    asked = set(names)
    if not asked:
        return jobs

    def ids(fields: Iterable[str]) -> set[str]:
        return {value for field in fields if field in asked for job in jobs if (value := getattr(job, field, None)) is not None}

    found: dict[str, Any] = {}
    if model_ids := ids(MODELS):
        found |= {row.id: model_view(row) for row in ModelRepository(session, owner_id).of_ids(model_ids)}
    if dataset_ids := ids(DATASETS):
        found |= {row.id: view_with(row, info) for row, info in DatasetRepository(session, owner_id).of_ids(dataset_ids)}
    libraries = {}
    if "library" in asked:
        rows = ConceptLibraryRepository(session, owner_id).of_jobs([job.id for job in jobs])
        libraries = {job_id: library_view(row) for job_id, row in rows.items()}

    def expanded(job: AnyJobView) -> ExpandedResources:
        named = {field: found.get(getattr(job, field, None) or "") for field in (*MODELS, *DATASETS) if field in asked}
        return ExpandedResources(**named, library=libraries.get(job.id))

    return [job.model_copy(update={"expanded": expanded(job)}) for job in jobs]
