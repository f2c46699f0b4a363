"""DELETE of jobs: what goes with a job, what stays, and which rows forbid it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import func, select

from app.db.models import (
    Base,
    Concept,
    ConceptLibrary,
    Curve,
    CurvePoint,
    Job,
    JobEvent,
    Plot,
    PostedImage,
    Predictor,
    Result,
    StageArtifact,
)
from app.db.session import SessionFactory
from app.settings import Settings
from app.storage.garbage_collection import drop_unused_artifacts
from support.rows import Rows, score_spec

BELONGING = (Concept, ConceptLibrary, Curve, CurvePoint, Job, JobEvent, Plot, PostedImage, Predictor, Result)


def counts(sessions: SessionFactory, *tables: type[Base]) -> dict[str, int]:
    with sessions() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def require_conflict(answer: Any, code: str, *words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text
    for word in words:
        assert word in answer.json()["detail"]


def test_a_finished_job_is_deleted_with_everything_that_belongs_to_it(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    before = counts(sessions, *BELONGING)
    job_id = rows.explainable_job()
    rows.posted_image(job_id)
    assert all(counts(sessions, *BELONGING)[name] > count for name, count in before.items())
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert counts(sessions, *BELONGING) == before
    assert client.get(f"/v1/jobs/{job_id}").status_code == client.delete(f"/v1/jobs/{job_id}").status_code == 404


def test_a_failed_and_a_canceled_job_are_deleted_and_an_unfinished_one_is_not(client: TestClient, rows: Rows) -> None:
    failed, canceled, running = rows.job(), rows.job(), rows.job()
    require_conflict(client.delete(f"/v1/jobs/{failed}"), "job_unfinished", f"Job {failed} is queued; cancel it")
    rows.fail(failed, rows.claim(failed), "Class 7 has no test image.")
    rows.cancel(canceled)
    rows.claim(running)
    assert [client.delete(f"/v1/jobs/{one}").status_code for one in (failed, canceled)] == [204, 204]
    require_conflict(client.delete(f"/v1/jobs/{running}"), "job_unfinished", "is running")


def test_another_owners_job_and_an_internal_one_cannot_be_deleted(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    foreign, internal = other_rows.succeeded_job()[0], rows.job(kind="check_model")
    rows.fail(internal, rows.claim(internal), "The file is damaged.")
    assert [client.delete(f"/v1/jobs/{one}").status_code for one in (foreign, internal, "%00")] == [404, 404, 404]


def test_a_cell_of_a_study_an_explained_job_and_a_used_library_are_kept(client: TestClient, rows: Rows) -> None:
    study = client.post("/v1/studies", json=rows.study_request()).json()
    cell = client.get(f"/v1/studies/{study['id']}/cells").json()["data"][0]["job"]
    rows.cancel(cell)
    require_conflict(client.delete(f"/v1/jobs/{cell}"), "job_in_use", f"is a cell of study {study['id']}; delete that first.")

    explained = rows.explainable_job()
    explanation = rows.explained_job(explained, [{"index": 0}])
    require_conflict(client.delete(f"/v1/jobs/{explained}"), "job_in_use", f"Job {explanation} explains job {explained}")
    assert [client.delete(f"/v1/jobs/{one}").status_code for one in (explanation, explained)] == [204, 204]

    fitted, library = rows.succeeded_job()
    model, dataset = rows.model(), rows.dataset()
    asking = rows.job(model, dataset, spec=score_spec(model, dataset, library={"id": library}))
    require_conflict(client.delete(f"/v1/jobs/{fitted}"), "job_in_use", f"Job {asking} uses the concept library of job {fitted}")
    rows.cancel(asking)
    assert client.delete(f"/v1/jobs/{fitted}").status_code == 204


def test_a_library_with_results_of_another_job_is_kept(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    fitted, library = rows.succeeded_job()
    other, _ = rows.succeeded_job()
    with sessions.begin() as session:
        session.get_one(Result, other).library_id = library
    require_conflict(client.delete(f"/v1/jobs/{fitted}"), "job_in_use", f"Job {other} uses the concept library")
    assert [client.delete(f"/v1/jobs/{one}").status_code for one in (other, fitted)] == [204, 204]


def test_a_model_that_a_deleted_job_trained_stays(client: TestClient, rows: Rows) -> None:
    job_id, model_id = rows.finetuned_job()
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert client.get(f"/v1/models/{model_id}").json()["state"] == "ready"


def test_stage_outputs_of_a_deleted_job_outlive_running_jobs_and_no_more(
    client: TestClient, rows: Rows, sessions: SessionFactory, settings: Settings
) -> None:
    job_id, _ = rows.succeeded_job()
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204

    def left_after(hours: float) -> int:
        with sessions() as session:
            drop_unused_artifacts(session, settings.artifact_expiry_seconds - 3600 * hours)
            own = StageArtifact.owner_id == rows.owner_id
            return session.scalar(select(func.count()).select_from(StageArtifact).where(own)) or 0

    assert settings.job_deadline_seconds == 24 * 3600
    assert left_after(24.9) > 0
    assert left_after(25.1) == 0


def test_a_job_is_either_deleted_or_explained(client: TestClient, rows: Rows) -> None:
    for _ in range(4):
        scored = rows.explainable_job()
        body = {"kind": "explain", "job": scored, "split": "test"}
        with ThreadPoolExecutor(2) as pool:
            deleting = pool.submit(client.delete, f"/v1/jobs/{scored}")
            explaining = pool.submit(client.post, "/v1/jobs", json=body)
        assert (deleting.result().status_code, explaining.result().status_code) in {(204, 404), (409, 201)}
