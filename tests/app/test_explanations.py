"""Questions about a scored job when nobody can answer them, and images that are kept for as long as they may be looked at."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import select, update

from app.db.expiry import expire_posted_images
from app.db.models import PostedImage
from app.db.session import SessionFactory
from app.main import create_app
from app.questions import QUESTIONS
from app.settings import Settings

PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture
def impatient(settings: Settings) -> Settings:
    return settings.model_copy(update={"answer_timeout_seconds": 0.2})


@pytest.fixture
def asker(impatient: Settings, tenant: Any, redis_url: str) -> Any:
    """A client of an API that no worker stands behind."""
    with Redis.from_url(redis_url) as broker:
        broker.delete(QUESTIONS)
    app = create_app(impatient)
    with TestClient(app, headers=tenant.headers, raise_server_exceptions=False) as client:
        yield client
    app.state.engine.dispose()


def stored(sessions: SessionFactory) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(PostedImage.id)))


def test_without_a_worker_a_question_is_given_up_with_the_time_to_come_back(asker: TestClient, rows: Any) -> None:
    answer = asker.get(f"/v1/jobs/{rows.explainable_job()}/explanations/3")
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_question_says_whose_it_is_and_until_when_it_is_of_use(asker: TestClient, rows: Any, tenant: Any, redis_url: str) -> None:
    job = rows.explainable_job()
    asker.get(f"/v1/jobs/{job}/explanations/3", params={"kept": 2, "contrast": "owl"})
    with Redis.from_url(redis_url) as broker:
        asked = json.loads(broker.rpop(QUESTIONS))  # type: ignore[arg-type]
    assert (asked["owner"], asked["kind"]) == (tenant.owner_id, "explain")
    assert asked["about"] == {"job": job, "image": 3, "contrast": "owl", "top": 8, "kept": 2, "sparsity": None}
    assert asked["expires_at"] < datetime.now(UTC).timestamp() + 1


def test_without_redis_the_sentence_names_the_workers(impatient: Settings, tenant: Any, rows: Any) -> None:
    app = create_app(impatient.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with TestClient(app, headers=tenant.headers) as client:
        answer = client.get(f"/v1/jobs/{rows.explainable_job()}/explanations/3")
    app.state.engine.dispose()
    assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")


def test_an_image_that_nobody_could_explain_is_forgotten(asker: TestClient, rows: Any, sessions: SessionFactory) -> None:
    before = stored(sessions)
    answer = asker.post(f"/v1/jobs/{rows.explainable_job()}/explanations", files={"file": ("a.png", PNG)})
    assert answer.status_code == 503
    assert stored(sessions) == before


def test_a_posted_image_is_swept_when_its_time_is_over(rows: Any, sessions: SessionFactory, tenant: Any) -> None:
    now = datetime.now(UTC)
    columns = {"owner_id": tenant.owner_id, "job_id": rows.explainable_job(), "filename": "a.png", "content": PNG}
    with sessions.begin() as session:
        session.add(PostedImage(id="img_old", expires_at=now - timedelta(seconds=1), **columns))
        session.add(PostedImage(id="img_new", expires_at=now + timedelta(hours=1), **columns))
    with sessions() as session:
        assert expire_posted_images(session) >= 1
    assert "img_new" in stored(sessions)
    assert "img_old" not in stored(sessions)
    with sessions.begin() as session:
        session.execute(update(PostedImage).where(PostedImage.id == "img_new").values(expires_at=now))
        expire_posted_images(session)


def test_an_image_posted_for_another_job_or_by_another_owner_is_absent(
    asker: TestClient, rows: Any, sessions: SessionFactory, tenant: Any, stranger: Any
) -> None:
    job, other = rows.explainable_job(), rows.explainable_job()
    with sessions.begin() as session:
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        columns = {"job_id": job, "filename": "a.png", "content": PNG, "expires_at": expires_at}
        session.add(PostedImage(id="img_own", owner_id=tenant.owner_id, **columns))
        session.add(PostedImage(id="img_foreign", owner_id=stranger.owner_id, **columns))
    own = asker.get(f"/v1/jobs/{job}/explanations/img_own")
    assert own.json()["code"] == "worker_busy"  # it is there, and only the worker is missing
    for address in (f"{other}/explanations/img_own", f"{job}/explanations/img_foreign", f"{job}/explanations/img_never"):
        answer = asker.get(f"/v1/jobs/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_image_beyond_the_limit_is_refused_unread(settings: Settings, tenant: Any, rows: Any, sessions: SessionFactory) -> None:
    app = create_app(settings.model_copy(update={"posted_image_max_bytes": 1000}))
    with TestClient(app, headers=tenant.headers) as client:
        answer = client.post(f"/v1/jobs/{rows.explainable_job()}/explanations", files={"file": ("a.png", bytes(100_000))})
    app.state.engine.dispose()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_too_many_images_for_one_prediction_are_refused(asker: TestClient, rows: Any) -> None:
    rows.explainable_job()
    predictor = asker.get("/v1/predictors").json()["data"][0]["id"]
    answer = asker.post(f"/v1/predictors/{predictor}/predict", files=[("file", (f"{n}.png", PNG)) for n in range(65)])
    assert answer.status_code == 422
    assert "64 at once" in answer.json()["detail"]


def test_predictors_are_listed_of_a_job_and_shown_one_by_one(asker: TestClient, rows: Any) -> None:
    job = rows.explainable_job(nodes=(4, 2))
    rows.explainable_job()
    listed = asker.get("/v1/predictors", params={"job": job}).json()["data"]
    assert sorted(one["kept"] for one in listed) == [2, 4]
    assert {one["job"] for one in listed} == {job}
    assert asker.get(listed[0]["links"]["self"]).json() == listed[0]
