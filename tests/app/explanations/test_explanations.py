"""Explanations over HTTP without a worker, and the lifetime of posted images."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient
from redis import Redis
from sqlalchemy import select, update

from app.db.deletion.expiry import expire_posted_images
from app.db.models import IdempotencyRecord, PostedImage
from app.db.session import SessionFactory
from app.explanations.service import keep_image
from app.main import create_app
from app.query_queue import TURNS, queue_of
from app.settings import Settings
from app.worker_queries import REPLY_PREFIX
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE
from support.rows import Rows
from support.tenants import Tenant

PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.fixture
def impatient(settings: Settings) -> Settings:
    return settings.model_copy(update={"answer_timeout_seconds": 0.2})


@pytest.fixture
def without_worker(impatient: Settings, tenant: Tenant, redis_url: str) -> Iterator[TestClient]:
    """A client of an API without a worker."""
    with Redis.from_url(redis_url) as broker:
        broker.delete(TURNS)
    app = create_app(impatient)
    with TestClient(app, headers=tenant.headers, raise_server_exceptions=False) as client:
        yield client
    app.state.engine.dispose()


def stored(sessions: SessionFactory) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(PostedImage.id)))


def test_without_a_worker_a_query_times_out_with_retry_after(without_worker: TestClient, rows: Rows) -> None:
    answer = without_worker.get(f"/v1/jobs/{rows.explainable_job()}/explanations/3")
    assert (answer.status_code, answer.json()["code"]) == (503, "worker_busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_query_has_its_owner_and_an_expiry(without_worker: TestClient, rows: Rows, tenant: Tenant, redis_url: str) -> None:
    job = rows.explainable_job()
    without_worker.get(f"/v1/jobs/{job}/explanations/3", params={"kept": 2, "contrast": "owl"})
    with Redis.from_url(redis_url) as broker:
        asked = json.loads(cast(bytes, broker.rpop(queue_of(tenant.owner_id))))
    assert (asked["owner"], asked["kind"]) == (tenant.owner_id, "explain")
    assert asked["about"] == {"job": job, "image": 3, "contrast": "owl", "top": 8, "kept": 2, "sparsity": None}
    assert asked["expires_at"] < datetime.now(UTC).timestamp() + 1


def test_without_redis_a_query_is_a_503(impatient: Settings, tenant: Tenant, rows: Rows) -> None:
    app = create_app(impatient.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with TestClient(app, headers=tenant.headers) as client:
        answer = client.get(f"/v1/jobs/{rows.explainable_job()}/explanations/3")
    app.state.engine.dispose()
    assert (answer.status_code, answer.json()["code"]) == (503, "broker_unavailable")


def test_a_posted_image_is_deleted_if_the_query_fails(without_worker: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    before = stored(sessions)
    answer = without_worker.post(f"/v1/jobs/{rows.explainable_job()}/explanations", files={"file": ("a.png", PNG)})
    assert answer.status_code == 503
    assert stored(sessions) == before


@pytest.fixture
def worker(redis_url: str) -> Iterator[list[dict[str, Any]]]:
    """Queries received by a worker that replies with the documented example and the requested contrast."""
    asked, stop = list[dict[str, Any]](), threading.Event()

    def answer() -> None:
        with Redis.from_url(redis_url) as broker:
            broker.delete(TURNS)
            while not stop.is_set():
                turn: Any = broker.bzpopmin([TURNS], 1)
                message: Any = broker.rpop(queue_of(turn[1].decode())) if turn else None
                if message is None:
                    continue
                query = json.loads(message)
                asked.append(query)
                about = query["about"]
                found = EXPLANATION_EXAMPLE | {"image": {"index": None, "name": None, "label": None}, "kept": about.get("kept") or 2}
                if about.get("contrast"):
                    found |= {"contrast": {"class": about["contrast"], "index": 0}}
                drawn = {"figure": base64.b64encode(b"a figure").decode()}
                result = drawn if query["kind"] == "sheet" else found
                broker.rpush(REPLY_PREFIX + query["id"], json.dumps({"result": result}))

    thread = threading.Thread(target=answer)
    thread.start()
    yield asked
    stop.set()
    thread.join()


def test_links_repeat_the_parameters_of_the_explanation(client: TestClient, rows: Rows, worker: list[dict[str, Any]]) -> None:
    at = f"/v1/jobs/{rows.explainable_job()}/explanations/3"
    links = client.get(at, params={"kept": 4, "contrast": "a & b", "top": 30}).json()["links"]
    for name, path in (("self", at), ("sheet_png", f"{at}/sheet.png"), ("sheet_svg", f"{at}/sheet.svg")):
        assert links[name] == f"{path}?kept=4&contrast=a+%26+b&top=30"
    before = len(worker)
    client.get(links["sheet_png"])
    assert [query["kind"] for query in worker[before:]] == ["sheet"]
    assert worker[-1]["about"] | {"kept": 4, "contrast": "a & b", "top": 30} == worker[-1]["about"]
    assert client.get(at).json()["links"]["self"] == f"{at}?kept=2&top=8"


def test_a_posted_image_keeps_its_name(client: TestClient, rows: Rows, worker: list[dict[str, Any]]) -> None:
    job = rows.explainable_job(dataset=rows.dataset())
    posted = client.post(f"/v1/jobs/{job}/explanations", files={"file": ("my cat.png", PNG)})
    assert posted.headers["Location"] == f"/v1/jobs/{job}/explanations/{posted.json()['image']['id']}"
    assert client.get(posted.headers["Location"]).json()["image"]["name"] == "my cat.png"
    assert client.get(posted.json()["links"]["sheet_png"]).status_code == 200
    assert worker[-1]["about"]["image_name"] == "my cat.png"


def test_an_index_of_thousands_of_digits_is_a_404(client: TestClient, rows: Rows) -> None:
    answer = client.get(f"/v1/jobs/{rows.explainable_job()}/explanations/{'7' * 5000}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.fixture
def narrow(impatient: Settings, tenant: Tenant, redis_url: str) -> Iterator[TestClient]:
    """A client of an API with one database connection and no worker."""
    with Redis.from_url(redis_url) as broker:
        broker.delete(TURNS)
    app = create_app(impatient.model_copy(update={"database_pool_size": 1, "database_pool_overflow": 0}))
    with TestClient(app, headers=tenant.headers, raise_server_exceptions=False) as client:
        yield client
    app.state.engine.dispose()


def test_a_request_that_waits_for_a_worker_holds_no_database_connection(narrow: TestClient, rows: Rows) -> None:
    job = rows.explainable_job(dataset=rows.dataset())
    predictor = narrow.get("/v1/predictors").json()["data"][0]["id"]
    once, file = {"Idempotency-Key": "once"}, {"file": ("a.png", PNG)}
    requests: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"/v1/jobs/{job}/explanations", {"files": file}),
        (f"/v1/predictors/{predictor}/predict", {"files": file}),
        (f"/v1/jobs/{job}/explanations/3/interventions", {"json": {"suppress": [1]}}),
    )
    for path, asked in requests:
        for _ in range(2):  # what was refused may be sent again under its key
            assert narrow.post(path, headers=once, **asked).json()["code"] == "worker_busy", path


def test_a_posted_image_is_explained_once_per_idempotency_key(
    client: TestClient, rows: Rows, sessions: SessionFactory, worker: list[dict[str, Any]]
) -> None:
    job, once, before = rows.explainable_job(dataset=rows.dataset()), {"Idempotency-Key": "image"}, stored(sessions)
    first, second = (client.post(f"/v1/jobs/{job}/explanations", files={"file": ("a.png", PNG)}, headers=once) for _ in range(2))
    assert (first.status_code, second.status_code, second.content) == (201, 201, first.content)
    assert len(stored(sessions)) == len(before) + 1
    assert len(worker) == 1


def test_an_abandoned_idempotency_record_expires(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, worker: list[dict[str, Any]]
) -> None:
    job, once = rows.explainable_job(dataset=rows.dataset()), {"Idempotency-Key": "lost"}
    with sessions.begin() as session:
        session.add(IdempotencyRecord(owner_id=tenant.owner_id, key="lost", request_digest="of another request"))
    post = partial(client.post, f"/v1/jobs/{job}/explanations", files={"file": ("a.png", PNG)}, headers=once)
    assert post().status_code in {409, 422}
    with sessions.begin() as session:
        session.execute(
            update(IdempotencyRecord).where(IdempotencyRecord.key == "lost").values(created_at=datetime(2000, 1, 1, tzinfo=UTC))
        )
    assert post().status_code == 201


def test_an_owners_oldest_posted_images_are_deleted_over_the_limit(
    impatient: Settings, rows: Rows, sessions: SessionFactory, tenant: Tenant, other_tenant: Tenant
) -> None:
    settings = impatient.model_copy(update={"posted_images_max_bytes": 250})
    job = rows.explainable_job()
    foreign = keep_image(sessions, other_tenant.owner_id, job, "a.png", bytes(250), settings)
    kept = [keep_image(sessions, tenant.owner_id, job, "a.png", bytes(100), settings) for _ in range(3)]
    assert set(stored(sessions)) & {foreign, *kept} == {foreign, *kept[1:]}
    large = keep_image(sessions, tenant.owner_id, job, "a.png", bytes(1000), settings)
    assert set(stored(sessions)) & {foreign, *kept, large} == {foreign, large}


def test_an_expired_posted_image_is_deleted(rows: Rows, sessions: SessionFactory, tenant: Tenant) -> None:
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


def test_an_image_posted_for_another_job_or_by_another_owner_is_a_404(
    without_worker: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, other_tenant: Tenant
) -> None:
    job, other = rows.explainable_job(), rows.explainable_job()
    with sessions.begin() as session:
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        columns = {"job_id": job, "filename": "a.png", "content": PNG, "expires_at": expires_at}
        session.add(PostedImage(id="img_own", owner_id=tenant.owner_id, **columns))
        session.add(PostedImage(id="img_foreign", owner_id=other_tenant.owner_id, **columns))
    own = without_worker.get(f"/v1/jobs/{job}/explanations/img_own")
    assert own.json()["code"] == "worker_busy"  # it is there, and only the worker is missing
    for address in (f"{other}/explanations/img_own", f"{job}/explanations/img_foreign", f"{job}/explanations/img_never"):
        answer = without_worker.get(f"/v1/jobs/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_an_image_over_the_size_limit_is_refused(settings: Settings, tenant: Tenant, rows: Rows, sessions: SessionFactory) -> None:
    app = create_app(settings.model_copy(update={"posted_image_max_bytes": 1000}))
    with TestClient(app, headers=tenant.headers) as client:
        answer = client.post(f"/v1/jobs/{rows.explainable_job()}/explanations", files={"file": ("a.png", bytes(100_000))})
    app.state.engine.dispose()
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_too_many_images_for_one_prediction_are_refused(without_worker: TestClient, rows: Rows) -> None:
    rows.explainable_job()
    predictor = without_worker.get("/v1/predictors").json()["data"][0]["id"]
    answer = without_worker.post(f"/v1/predictors/{predictor}/predict", files=[("file", (f"{n}.png", PNG)) for n in range(65)])
    assert answer.status_code == 422
    assert "64 at once" in answer.json()["detail"]


def test_predictors_are_listed_by_job_and_shown_individually(without_worker: TestClient, rows: Rows) -> None:
    job = rows.explainable_job(nodes=(4, 2))
    rows.explainable_job()
    listed = without_worker.get("/v1/predictors", params={"job": job}).json()["data"]
    assert sorted(one["kept"] for one in listed) == [2, 4]
    assert {one["job"] for one in listed} == {job}
    assert without_worker.get(listed[0]["links"]["self"]).json() == listed[0]
