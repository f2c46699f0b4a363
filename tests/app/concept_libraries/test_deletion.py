"""DELETE of concept libraries: what goes with a library, what its job keeps, and which jobs forbid it."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient
from sqlalchemy import func, select

from app.db.models import Base, Concept, ConceptLibrary, Curve, Plot, PostedImage, Predictor, Result, StageArtifact
from app.db.session import SessionFactory
from app.settings import Settings
from app.storage.garbage_collection import drop_unused_artifacts
from support.rows import Rows, score_spec

AT = "/v1/concept-libraries"
GONE = (Concept, ConceptLibrary, PostedImage, Predictor)
KEPT = (Curve, Plot, Result)


def counts(sessions: SessionFactory, *tables: type[Base]) -> list[int]:
    with sessions() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def library_of(client: TestClient, job_id: str) -> str:
    return client.get(f"{AT}?job={job_id}").json()["data"][0]["id"]


def require_in_use(answer: Any, words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (409, "library_in_use"), answer.text
    assert words in answer.json()["detail"]


def test_a_library_goes_with_what_reads_it_and_its_job_keeps_the_score(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    gone = counts(sessions, *GONE)
    job_id = rows.explainable_job()
    rows.posted_image(job_id)
    library, kept = library_of(client, job_id), counts(sessions, *KEPT)
    report = client.get(f"/v1/jobs/{job_id}/result").json()["report"]
    assert client.delete(f"{AT}/{library}").status_code == 204
    assert counts(sessions, *GONE) == gone
    assert counts(sessions, *KEPT) == kept
    result = client.get(f"/v1/jobs/{job_id}/result").json()
    assert (result["library"], result["report"], "library" in result["links"]) == (None, report, False)
    refused = client.get(f"/v1/jobs/{job_id}/explanations")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_predictor")
    assert "its concept library was deleted; submit it again" in refused.json()["detail"]
    assert client.get(f"{AT}/{library}").status_code == client.delete(f"{AT}/{library}").status_code == 404
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204


def test_a_library_that_another_job_uses_or_explains_by_is_kept(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    fitted, library = rows.succeeded_job()
    model, dataset = rows.model(), rows.dataset()
    asking = rows.job(model, dataset, spec=score_spec(model, dataset, library={"id": library}))
    require_in_use(client.delete(f"{AT}/{library}"), f"Job {asking} uses concept library {library}; delete that job first.")
    rows.cancel(asking)
    other, _ = rows.succeeded_job()
    with sessions.begin() as session:
        session.get_one(Result, other).library_id = library
    require_in_use(client.delete(f"{AT}/{library}"), f"Job {other} uses")
    assert client.delete(f"/v1/jobs/{other}").status_code == 204
    assert client.delete(f"{AT}/{library}").status_code == 204
    assert client.get(f"/v1/jobs/{fitted}/result").json()["library"] is None

    explained = rows.explainable_job()
    explanation = rows.explained_job(explained, [{"index": 0}])
    require_in_use(client.delete(f"{AT}/{library_of(client, explained)}"), f"Job {explanation} explains job {explained} by")


def test_another_owners_library_cannot_be_deleted(client: TestClient, other_rows: Rows) -> None:
    _, library = other_rows.succeeded_job()
    assert client.delete(f"{AT}/{library}").status_code == 404


def test_the_content_of_a_deleted_library_outlives_running_jobs_and_no_more(
    client: TestClient, rows: Rows, sessions: SessionFactory, settings: Settings
) -> None:
    _, library = rows.succeeded_job()
    assert client.delete(f"{AT}/{library}").status_code == 204

    def left_after(hours: float) -> int:
        with sessions() as session:
            drop_unused_artifacts(session, settings.artifact_expiry_seconds - 3600 * hours)
            own = StageArtifact.owner_id == rows.owner_id
            return session.scalar(select(func.count()).select_from(StageArtifact).where(own)) or 0

    assert left_after(24.9) > 0
    assert left_after(25.1) == 0
