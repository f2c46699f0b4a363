"""Build study requests from a study file and its registered inputs; find the study of an equal request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from iis_client.cli.studies.counting import count_dataset
from iis_client.cli.studies.file import LocalStudy
from iis_client.cli.studies.inputs import Resource
from iis_client.errors import ConfigurationError
from iis_client.transport.messages import build_request, request_body
from iis_schemas.jobs.views import VocabularyView
from iis_schemas.studies.grids import first_grid
from iis_schemas.studies.requests import StudyCreate, StudyEstimateCreate, StudyExtend, StudyGrid
from iis_schemas.studies.sources import FileDataset
from iis_schemas.studies.views import StudyView

UNREGISTERED_VOCABULARY = "unregistered"
UNORDERED = ("datasets", "libraries", "concept_counts", "library_datasets", "sparsity_grids", "seeds")


def study_request(study: LocalStudy, resources: Mapping[str, Resource], vocabulary: str | None) -> StudyCreate:
    """Request of a new study.

    Parameters
    ----------
    resources : of all sources, by key

    Raises
    ------
    ConfigurationError
        When the file names the same weights or images twice.
    """
    sources = study.content.sources()
    for (one, first), (other, second) in combinations(sources.items(), 2):
        alike = type(first) is type(second) and one.partition("[")[0] == other.partition("[")[0]
        if alike and resources[one].id == resources[other].id:
            noun = "data set" if isinstance(first, FileDataset) else "model"
            raise ConfigurationError(f"{study.at(one)} and {study.at(other)} have the same content; name each {noun} once.")
    return study.content.request({key: resource.id for key, resource in resources.items()}, vocabulary, study.name)


def extension_request(study: LocalStudy, request: StudyCreate) -> StudyExtend:
    """Request that extends a study: the keys of the file only."""
    body = {name: value for name, value in request_body(request).items() if name in study.content.model_fields_set}
    return build_request(StudyExtend, body)


def estimate_request(study: LocalStudy, ready: Mapping[str, Resource], vocabulary: str | None) -> StudyEstimateCreate:
    """Request of an estimate; inputs that are not registered stand in it by key, with counts of local images.

    Parameters
    ----------
    ready : the registered sources that are ready, by key
    vocabulary : None if the phrases of the file are not registered
    """
    sources = study.content.sources()
    missing = {key: source for key, source in sources.items() if key not in ready}
    datasets = {key: count_dataset(source, study.data(source)) for key, source in missing.items() if isinstance(source, FileDataset)}
    is_unregistered = study.vocabulary is not None and vocabulary is None
    ids = {key: ready[key].id if key in ready else key for key in sources}
    request = study.content.request(ids, UNREGISTERED_VOCABULARY if is_unregistered else vocabulary, study.name)
    unregistered = {"models": [key for key in missing if key not in datasets], "datasets": datasets, "vocabulary": is_unregistered}
    return build_request(StudyEstimateCreate, {**request_body(request), "unregistered": unregistered})


def find_study(request: StudyCreate, studies: Iterable[StudyView]) -> StudyView | None:
    """The newest study of an equal request; only the order of models matters."""
    wanted = _canonical(first_grid(request, None), request.vocabulary)
    return next((study for study in studies if study.name == request.name and _canonical_study(study) == wanted), None)


def _canonical_study(study: StudyView) -> dict[str, Any]:
    vocabulary = study.grid.vocabulary
    return _canonical(study.grid, None if vocabulary is None else _reference(vocabulary))


def _reference(vocabulary: VocabularyView) -> str:
    """A vocabulary as a request names it: shipped concept sets have one version."""
    return f"{vocabulary.id}@{vocabulary.version}" if vocabulary.id.startswith("cst_") else vocabulary.id


def _canonical(grid: StudyGrid, vocabulary: str | None) -> dict[str, Any]:
    fields = grid.model_dump(mode="json", exclude={"libraries", "vocabulary"}, exclude_none=True)
    fields |= {"libraries": [library.to_spec() for library in grid.libraries], "vocabulary": vocabulary}
    return {name: sorted(value, key=json.dumps) if name in UNORDERED else value for name, value in fields.items()}
