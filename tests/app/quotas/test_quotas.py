"""Quotas of an owner: limits, usage, concurrent requests, and the error message when a quota is exceeded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, make_url, select, update

from app.api_keys.__main__ import main as add_owner
from app.db.ids import first_id_at
from app.db.models import Job, Study
from app.db.session import SessionFactory
from app.quotas.__main__ import main as operate
from app.settings import Settings, get_settings
from support.rows import Rows
from support.tenants import Tenant

DAY = timedelta(days=1)
TOGETHER = 8


@pytest.fixture
def limit(app: FastAPI) -> Callable[..., None]:
    """`limit(unfinished_jobs=2)` sets the service's own quotas."""

    def set_quotas(**quotas: int) -> None:
        for name, number in quotas.items():
            setattr(app.state.settings, f"quota_{name}", number)

    return set_quotas


def declared(content: bytes) -> dict[str, Any]:
    return {"filename": "a.bin", "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def small(content: bytes) -> dict[str, Any]:
    return {"file": ("a.bin", content)}


def require_quota(answer: Any, *words: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded"), answer.text
    for word in words:
        assert word in answer.json()["detail"]


def test_quotas_show_limits_and_usage(
    client: TestClient, rows: Rows, limit: Callable[..., None], key_for: Callable[..., dict[str, str]]
) -> None:
    limit(unfinished_jobs=7, jobs_per_day=0)
    rows.succeeded_job()
    rows.job()
    before = client.get("/v1/quotas").json()
    client.post("/v1/uploads/small", files=small(b"abc"))
    client.post("/v1/uploads", json=declared(b"defgh"))
    shown = client.get("/v1/quotas", headers=key_for("read")).json()
    assert shown["unfinished_jobs"] == {"limit": 7, "used": 1}
    assert shown["jobs_per_day"] == {"limit": None, "used": 2}
    assert shown["open_uploads"]["used"] == 1
    assert shown["stored_bytes"]["used"] - before["stored_bytes"]["used"] == 8
    assert shown["key"]["scopes"] == ["read"]


def test_a_registration_over_the_quota_is_refused_until_a_pending_one_is_deleted(client: TestClient, limit: Callable[..., None]) -> None:
    limit(pending_validations=2)
    bodies = [{"architecture": "timm:resnet18", "initial_seed": seed} for seed in range(3)]
    first, second = (client.post("/v1/models", json=body) for body in bodies[:2])
    assert [first.status_code, second.status_code] == [201, 201]
    assert client.post("/v1/models", json=bodies[1]).status_code == 200, "a model that is registered already is no new one"
    refused = client.post("/v1/models", json=bodies[2])
    require_quota(refused, "2 pending models, data sets and concept sets", "your quota is 2", "delete")
    assert refused.headers["Retry-After"] == "10"
    assert client.get("/v1/quotas").json()["pending_validations"] == {"limit": 2, "used": 2}
    assert client.delete(first.json()["links"]["self"]).status_code == 204
    assert client.post("/v1/models", json=bodies[2]).status_code == 201


def test_concurrent_registrations_do_not_exceed_the_quota(client: TestClient, limit: Callable[..., None]) -> None:
    limit(pending_validations=3)

    def register(seed: int) -> int:
        return client.post("/v1/models", json={"architecture": "timm:resnet18", "initial_seed": seed}).status_code

    with ThreadPoolExecutor(TOGETHER) as pool:
        statuses = sorted(pool.map(register, range(TOGETHER)))
    assert statuses == [201] * 3 + [429] * (TOGETHER - 3)


def test_a_job_over_the_quota_is_refused_until_another_ends(client: TestClient, rows: Rows, limit: Callable[..., None]) -> None:
    limit(unfinished_jobs=2)
    body = rows.request()
    first = client.post("/v1/jobs", json=body)
    assert [first.status_code, client.post("/v1/jobs", json=body).status_code] == [201, 201]
    refused = client.post("/v1/jobs", json=body)
    require_quota(refused, "You have 2 unfinished jobs and ask for one more", "your quota is 2 at once", "cancel some")
    assert "Retry-After" not in refused.headers
    assert client.post("/v1/models", json={"architecture": "timm:resnet18", "pretrained": "a1_in1k"}).status_code == 201, (
        "a check is no job"
    )
    assert client.post(first.json()["links"]["cancel"]).status_code == 200
    assert client.post("/v1/jobs", json=body).status_code == 201


def test_jobs_older_than_a_day_do_not_count(client: TestClient, rows: Rows, sessions: SessionFactory, limit: Callable[..., None]) -> None:
    limit(jobs_per_day=2)
    for hours in (23, 25, 25):
        job_id, made = rows.job(), datetime.now(UTC) - timedelta(hours=hours)
        older = first_id_at("job", made)[:-8] + job_id[-8:]
        with sessions.begin() as session:
            session.connection().exec_driver_sql("DELETE FROM job_events WHERE job_id = %s", (job_id,))
            session.execute(update(Job).where(Job.id == job_id).values(id=older, created_at=made))
    body = rows.request()
    assert client.post("/v1/jobs", json=body).status_code == 201
    refused = client.post("/v1/jobs", json=body)
    require_quota(refused, "You made 2 jobs in the last 24 hours", "your quota is 2 in 24 hours")
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600


def test_a_study_counts_all_its_jobs_and_is_accepted_entirely_or_refused(
    client: TestClient, rows: Rows, sessions: SessionFactory, limit: Callable[..., None], tenant: Tenant
) -> None:
    limit(unfinished_jobs=5)
    body = rows.study_request()  # four jobs
    assert client.post("/v1/studies", json=body).status_code == 201
    assert client.post("/v1/studies", json=body).status_code == 201, "it makes no job that is not there"
    require_quota(client.post("/v1/studies", json=rows.study_request()), "You have 4 unfinished jobs and ask for 4 more")
    with sessions() as session:
        assert session.scalar(select(func.count()).where(Study.owner_id == tenant.owner_id)) == 2
        assert session.scalar(select(func.count()).where(Job.owner_id == tenant.owner_id)) == 4


def test_concurrent_requests_do_not_exceed_a_quota(client: TestClient, rows: Rows, limit: Callable[..., None]) -> None:
    limit(unfinished_jobs=3, open_uploads=3, stored_bytes=40)
    body = rows.request()

    def all_at_once(send: Callable[[int], Any]) -> list[int]:
        with ThreadPoolExecutor(TOGETHER) as pool:
            return sorted(answer.status_code for answer in pool.map(send, range(TOGETHER)))

    taken = [201] * 3 + [429] * (TOGETHER - 3)
    assert all_at_once(lambda _: client.post("/v1/jobs", json=body)) == taken
    assert all_at_once(lambda number: client.post("/v1/uploads", json=declared(b"12345678%d1" % number))) == taken
    one_more = [201] + [429] * (TOGETHER - 1)
    assert all_at_once(lambda number: client.post("/v1/uploads/small", files=small(b"abcdefgh%d2" % number))) == one_more


def test_content_that_is_already_stored_does_not_count(client: TestClient, limit: Callable[..., None]) -> None:
    limit(stored_bytes=10)
    assert client.post("/v1/uploads/small", files=small(b"12345678")).status_code == 201
    opened = client.post("/v1/uploads", json=declared(b"ab"))
    assert opened.status_code == 201
    for _ in range(2):
        assert client.post("/v1/uploads", json=declared(b"12345678")).json()["state"] == "complete"
    again = {"sha256": declared(b"12345678")["sha256"]}
    assert client.post("/v1/uploads/small", files=small(b"12345678"), data=again).status_code == 201
    for refused in (client.post("/v1/uploads/small", files=small(b"c")), client.post("/v1/uploads", json=declared(b"c"))):
        require_quota(refused, "You store 10 bytes", "send 1 more", "your quota is 10")
    assert client.delete(opened.json()["links"]["self"]).status_code == 204
    assert client.post("/v1/uploads/small", files=small(b"c")).status_code == 201


def test_an_upload_over_the_quota_is_refused_until_another_is_complete(client: TestClient, limit: Callable[..., None]) -> None:
    limit(open_uploads=1)
    opened = client.post("/v1/uploads", json=declared(b"abc")).json()
    require_quota(client.post("/v1/uploads", json=declared(b"def")), "You have 1 open uploads, and your quota is 1")
    assert client.post("/v1/uploads/small", files=small(b"def")).status_code == 201, "it is never open"
    client.put(f"{opened['links']['self']}/parts/1", content=b"abc")
    assert client.post(f"{opened['links']['self']}/complete").status_code == 200
    assert client.post("/v1/uploads", json=declared(b"ghi")).status_code == 201


def test_quotas_of_different_owners_are_independent(
    client: TestClient, rows: Rows, other_rows: Rows, other_tenant: Tenant, limit: Callable[..., None]
) -> None:
    limit(unfinished_jobs=1)
    other_rows.job()
    assert client.post("/v1/jobs", json=rows.request()).status_code == 201
    require_quota(client.post("/v1/jobs", json=other_rows.request(), headers=other_tenant.headers))


def test_an_operator_sets_the_quotas_of_an_owner(
    client: TestClient, rows: Rows, tenant: Tenant, limit: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    limit(unfinished_jobs=0)
    assert operate([tenant.owner_id, "--unfinished-jobs", "1", "--jobs-per-day", "0"]) == 0
    rows.job()
    assert "0 of 1, its own" in capsys.readouterr().out
    require_quota(client.post("/v1/jobs", json=rows.request()), "your quota is 1 at once")
    assert client.get("/v1/quotas").json()["jobs_per_day"]["limit"] is None
    operate([tenant.owner_id, "--unfinished-jobs", "default"])
    assert "jobs_per_day        1 no limit, its own" in capsys.readouterr().out
    assert client.post("/v1/jobs", json=rows.request()).status_code == 201


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["own_nobody"], "there is no owner own_nobody"),
        (["own_nobody", "--open-uploads", "1"], "there is no owner own_nobody"),
        (["--open-uploads", "1"], "say which owner's"),
        (["own_nobody", "--open-uploads", "many"], "'many' is not a whole number"),
    ],
)
def test_invalid_operator_arguments_are_refused_with_a_reason(
    client: TestClient, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        operate(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("away", "message"), [(True, "iis:***@127.0.0.1:1/iis does not answer; set IIS_DATABASE_URL"), (False, "does not match this version")]
)
def test_operator_commands_report_an_unavailable_or_empty_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, away: bool, message: str
) -> None:
    empty = make_url(settings.database_url).set(database="postgres").render_as_string(hide_password=False)
    monkeypatch.setenv("IIS_DATABASE_URL", "postgresql://iis:a-password@127.0.0.1:1/iis" if away else empty)
    get_settings.cache_clear()
    for command in (operate, add_owner):
        with pytest.raises(SystemExit, match=re.escape(message)):
            command(["an owner"])
