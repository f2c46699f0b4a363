"""Libraries cut from another data set than the scored one: shared stages, exemplars, and reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from app.db.models import Concept, ConceptLibrary, Predictor, Result, StageArtifact
from support.squares import squares_zip
from worker.queries.context import Query
from worker.queries.dispatcher import QueryDispatcher
from worker.sandbox.watch import Stop

if TYPE_CHECKING:
    from support.worker_service import Service

CLUSTER = {"kind": "cluster", "concept_count": 8, "parts": []}


@pytest.fixture
def dispatcher(service: Service) -> Iterator[QueryDispatcher]:
    dispatcher = QueryDispatcher(service.runtime, Stop())
    yield dispatcher
    dispatcher.close()


def checked(service: Service, levels: dict[str, int], seed: int) -> str:
    dataset_id = service.add_dataset(squares_zip(levels, seed=seed), "squares.zip", "images")
    assert service.run(service.add_job("check_dataset", dataset_id)) == "succeeded"
    return dataset_id


def add_score(service: Service, dataset_id: str, model_id: str, library_dataset: str | None = None, **choices: Any) -> str:
    return service.add_score(dataset_id, model_id, **{"library": CLUSTER, "library_dataset": library_dataset, **choices})


def stages(service: Service, job_id: str, state: str, dataset: str | None) -> list[str]:
    found = (event for event in service.events(job_id, "stage") if event["state"] == state and event["stage"] != "materialise")
    return [event["stage"] for event in found if event.get("dataset") == dataset]


@pytest.mark.slow
def test_a_library_from_another_data_set_is_shared_with_jobs_on_that_data_set(service: Service, dispatcher: QueryDispatcher) -> None:
    model_id = service.add_tiny_model()
    assert service.run(service.add_job("check_model", None, model_id=model_id)) == "succeeded"
    home = checked(service, {"bright": 200, "dark": 40}, seed=0)
    other = checked(service, {"black": 10, "grey": 110, "white": 250}, seed=1)

    on_other = add_score(service, other, model_id)
    assert service.run(on_other) == "succeeded", service.job(on_other).error
    job_id = add_score(service, home, model_id, library_dataset=other)
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    assert stages(service, job_id, "reused", other) == ["extract", "libraries", "explain"]
    assert stages(service, job_id, "finished", other) == []
    assert stages(service, job_id, "finished", None) == [
        "extract",
        "isotropic",
        "matched",
        "heads",
        "panel",
        "curve",
        "predictors",
        "report",
    ]

    own = add_score(service, home, model_id)
    assert service.run(own) == "succeeded", service.job(own).error
    assert stages(service, own, "reused", None) == ["extract", "isotropic"]

    with service.runtime.sessions() as session:
        result, plain = session.get_one(Result, job_id), session.get_one(Result, own)
        library = session.get_one(ConceptLibrary, result.library_id)
        concepts = session.scalars(select(Concept).where(Concept.library_id == library.id)).all()
        theirs = session.get_one(ConceptLibrary, session.get_one(Result, on_other).library_id)
        original = session.scalars(select(Concept).where(Concept.library_id == theirs.id)).all()
        predictors = session.scalars(select(Predictor).where(Predictor.job_id == job_id)).all()
    assert result.report["library"]["dataset"] == library.dataset_id == other
    assert "dataset" not in plain.report["library"]
    assert result.report["library"]["seeds"] == plain.report["library"]["seeds"]
    assert result.report["class_names"] == ["bright", "dark"]
    assert result.report["accuracy_representation"] == plain.report["accuracy_representation"]
    assert library.artifact_key == theirs.artifact_key
    assert [concept.exemplars for concept in concepts] == [concept.exemplars for concept in original]
    assert {exemplar["image"].split("/")[0] for concept in concepts for exemplar in concept.exemplars} <= {"black", "grey", "white"}

    assert predictors
    explanation = dispatcher.run(
        Query(service.owner_id, "explain", {"job": job_id, "image": 0, "top": 3, "contrast": None, "curves": False})
    )
    assert explanation["interpretation"]["class"] in {"bright", "dark"}


@pytest.mark.slow
def test_a_library_from_another_data_set_is_fitted_once_and_reused(service: Service) -> None:
    model_id = service.add_tiny_model()
    assert service.run(service.add_job("check_model", None, model_id=model_id)) == "succeeded"
    home, other = checked(service, {"bright": 200, "dark": 40}, seed=0), checked(service, {"black": 10, "white": 250}, seed=1)
    job_id = add_score(service, home, model_id, library_dataset=other)
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    assert stages(service, job_id, "finished", other) == ["extract", "libraries", "explain"]
    with service.runtime.sessions() as session:
        assert session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all() == []
    on_other = add_score(service, other, model_id)
    assert service.run(on_other) == "succeeded"
    assert stages(service, on_other, "reused", None) == ["extract", "libraries", "explain"]

    for sha256 in libraries(service):
        service.runtime.store.delete(sha256)
    third = checked(service, {"bright": 180, "dark": 60}, seed=2)
    again = add_score(service, third, model_id, library_dataset=other)
    assert service.run(again) == "succeeded", service.job(again).error
    assert stages(service, again, "finished", other) == ["libraries"]
    assert all(service.runtime.store.exists(sha256) for sha256 in libraries(service))


def libraries(service: Service) -> list[str]:
    """The sha256 of the outputs of the stage that fits the library."""
    with service.runtime.sessions() as session:
        return list(session.scalars(select(StageArtifact.blob_sha256).where(StageArtifact.stage == "libraries")))
