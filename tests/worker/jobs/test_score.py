"""The score job: results, reused stages, and failures."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from app.db.models import Concept, ConceptLibrary, Curve, CurvePoint, Dataset, Model, Plot, Result, StageArtifact, Upload
from support.squares import squares_zip
from worker.jobs.attempt import Attempt

if TYPE_CHECKING:
    from support.worker_service import Service

STAGES = ["extract", "libraries", "isotropic", "matched", "heads", "panel", "curve", "explain", "predictors", "report"]


def stage_states(service: Service, job_id: str, state: str) -> list[str]:
    return [event["stage"] for event in service.events(job_id, "stage") if event["state"] == state and event["stage"] != "materialise"]


def test_a_score_job_writes_report_curves_plots_and_library_when_it_succeeds(service: Service) -> None:
    job_id = service.add_score()
    assert service.run(job_id) == "succeeded"
    assert stage_states(service, job_id, "finished") == STAGES
    with service.runtime.sessions() as session:
        result = session.get_one(Result, job_id)
        curves = {curve.name: curve for curve in session.scalars(select(Curve).where(Curve.job_id == job_id))}
        points = session.scalars(select(CurvePoint).where(CurvePoint.curve_id == curves["library"].id)).all()
        plots = session.scalars(select(Plot).where(Plot.job_id == job_id)).all()
        library = session.get_one(ConceptLibrary, result.library_id)
        concepts = session.scalars(select(Concept).where(Concept.library_id == library.id).order_by(Concept.index)).all()
    job = service.job(job_id)
    used = job.stage_usage or {}
    assert {"extract", "heads", "report"} <= set(used)
    assert {one["device"] for one in used.values()} == {"cpu"}
    assert all(50e6 < one["peak_memory_bytes"] < 50e9 for one in used.values())  # torch alone takes more, and this machine has less
    assert used["heads"]["stored_bytes"] > 0
    assert 0 < result.report["iis"] <= 1.05
    assert set(curves) == {"library", "isotropic", "matched"}
    assert {point.kept for point in points} == {point["kept"] for point in result.report["points"]}
    assert {(plot.name, plot.format) for plot in plots} == {(name, kind) for name in ("arr", "accuracy") for kind in ("png", "svg")}
    assert (library.kind, library.concept_count, library.dimension, len(concepts)) == ("prototype", 8, 6, 8)
    assert np.allclose([np.linalg.norm(concept.vector) for concept in concepts], 1, atol=1e-4)


def test_a_second_job_on_the_same_data_reuses_every_stage(service: Service) -> None:
    first = service.add_score()
    service.run(first)
    second = service.add_score(dataset_id=service.job(first).dataset_id)
    assert service.run(second) == "succeeded"
    assert stage_states(service, second, "reused") == STAGES
    with service.runtime.sessions() as session:
        assert session.get_one(Result, first).report == session.get_one(Result, second).report


@pytest.mark.slow
def test_own_vectors_become_the_library_with_their_names(service: Service) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, vectors=np.eye(6, dtype=np.float32)[:5], names=np.array(["fur", "wing", "beak", "paw", "tail"]))
    upload = service.add_upload(buffer.getvalue(), "vectors.npz")
    job_id = service.add_score(library={"kind": "vectors", "upload": upload, "concept_count": None, "parts": []}, upload=upload)
    assert service.run(job_id) == "succeeded"
    with service.runtime.sessions() as session:
        result = session.get_one(Result, job_id)
        library = session.get_one(ConceptLibrary, result.library_id)
        concepts = session.scalars(select(Concept).where(Concept.library_id == library.id).order_by(Concept.index)).all()
    assert [concept.label for concept in concepts] == ["fur", "wing", "beak", "paw", "tail"]
    assert [concept.vector[place] for place, concept in enumerate(concepts)] == [1.0] * 5
    assert (library.kind, library.concept_count, result.report["library"]["concept_count"]) == ("vectors", 5, 5)
    again = service.add_score(library={"id": library.id}, dataset_id=service.job(job_id).dataset_id)
    assert service.run(again) == "succeeded"


def test_own_vectors_of_another_width_are_refused(service: Service) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.eye(4, dtype=np.float32))
    upload = service.add_upload(buffer.getvalue(), "vectors.npy")
    job_id = service.add_score(library={"kind": "vectors", "upload": upload, "concept_count": None, "parts": []}, upload=upload)
    assert service.run(job_id) == "failed"
    assert "have 4 dimensions, but the representation has 6" in service.error_of(job_id)["message"]


@pytest.mark.slow
def test_stages_that_another_job_finishes_in_the_meantime_are_reused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    first = service.add_score()
    second = service.add_score(dataset_id=service.job(first).dataset_id)
    run_stage = Attempt.run_stage

    def overtaken(attempt: Attempt, stage: str, *given: Any, **named: Any) -> dict[str, Any]:
        if attempt.job_id == first and service.job(second).state == "queued":
            assert service.run(second) == "succeeded"
        return run_stage(attempt, stage, *given, **named)

    monkeypatch.setattr(Attempt, "run_stage", overtaken)
    assert service.run(first) == "succeeded"
    assert stage_states(service, second, "finished") == STAGES
    assert stage_states(service, first, "finished") == STAGES[:1]
    assert stage_states(service, first, "reused") == STAGES[1:]


@pytest.mark.slow
def test_another_library_on_the_same_data_reuses_features_and_isotropic_control(service: Service) -> None:
    first = service.add_score()
    service.run(first)
    second = service.add_score(dataset_id=service.job(first).dataset_id, library={"kind": "cluster", "concept_count": 8, "parts": []})
    assert service.run(second) == "succeeded"
    assert stage_states(service, second, "reused") == ["extract", "isotropic"]


@pytest.mark.slow
def test_another_owner_with_the_same_content_reuses_no_stage(service: Service) -> None:
    first = service.add_score()
    service.run(first)
    digest = service.dataset_of(first).digest
    service.become_another_owner()
    job_id = service.add_score(dataset_id=service.add_dataset(service.features(), state="ready", digest=digest))
    assert service.run(job_id) == "succeeded"
    assert stage_states(service, job_id, "finished") == STAGES


@pytest.mark.slow
def test_a_library_of_an_earlier_job_is_not_fitted_again(service: Service) -> None:
    first = service.add_score()
    service.run(first)
    with service.runtime.sessions() as session:
        library_id = session.get_one(Result, first).library_id
    second = service.add_score(dataset_id=service.job(first).dataset_id, library={"id": library_id}, seed=1)
    assert service.run(second) == "succeeded"
    assert "libraries" not in stage_states(service, second, "finished")
    with service.runtime.sessions() as session:
        assert session.get_one(Result, second).library_id == library_id


@pytest.mark.slow
def test_an_artifact_missing_from_storage_is_computed_again(service: Service) -> None:
    first = service.add_score()
    service.run(first)
    with service.runtime.sessions() as session:
        features = session.scalars(select(StageArtifact.blob_sha256).where(StageArtifact.stage == "extract")).one()
    service.runtime.store.delete(features)
    second = service.add_score(dataset_id=service.job(first).dataset_id, library={"kind": "cluster", "concept_count": 8, "parts": []})
    assert service.run(second) == "succeeded"
    assert service.runtime.store.exists(features)


def test_more_concepts_than_elements_fail_without_retry(service: Service) -> None:
    job_id = service.add_score(library={"kind": "prototype", "concept_count": 5000, "parts": []})
    assert service.run(job_id) == "failed"
    assert (service.job(job_id).attempt, service.error_of(job_id)["code"]) == (1, "library_invalid")


@pytest.mark.slow
def test_concepts_of_a_network_scored_on_images_have_crops(service: Service) -> None:
    model_id = service.add_tiny_model()
    dataset_id = service.add_dataset(squares_zip(), "squares.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    job_id = service.add_score(dataset_id=dataset_id, model_id=model_id)
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    with service.runtime.sessions() as session:
        result = session.get_one(Result, job_id)
        library = session.get_one(ConceptLibrary, result.library_id)
        concept = session.get_one(Concept, (library.id, 0))
        model, dataset = session.get_one(Model, model_id), session.get_one(Dataset, dataset_id)
        checkpoint, archive = (session.get_one(Upload, row.upload_id).sha256 for row in (model, dataset))
    configuration = result.report["configuration"]
    assert (configuration["device"], configuration["precision"]) == ("cpu", "float32")
    found = configuration["model"]
    assert (found["architecture"], found["weights_sha256"], found["digest"]) == ("timm:test_resnet", checkpoint, model.digest)
    assert found["preprocessing"]["input_size"] in (32, [32, 32])
    assert (configuration["dataset"]["content_sha256"], configuration["dataset"]["digest"]) == (archive, dataset.digest)
    with service.runtime.sessions() as session:
        shards = session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all()
    with (
        service.runtime.store.open(library.settings["exemplars"]["sha256"]) as content,
        zipfile.ZipFile(io.BytesIO(content.read())) as crops,
    ):
        crop = Image.open(io.BytesIO(crops.read(concept.exemplars[0]["crop"])))
    assert max(crop.size) == 96
    assert concept.exemplars[0]["image"].endswith(".png")
    assert shards == []
