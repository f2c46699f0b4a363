"""Retention: rows beyond their owner's period are deleted, references keep what they name, and each owner may have other periods."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from app.db.deletion.retention import Expired, expire, set_overrides
from app.db.models import ApiKey, ConceptSet, ConceptSetVersion, Dataset, Job, JobEvent, Model, Share, Study
from app.db.session import SessionFactory
from app.retention.__main__ import main as operate
from app.settings import Settings
from support.rows import Rows
from support.tenants import Tenant

Aged = Callable[..., None]


@pytest.fixture
def aged(sessions: SessionFactory, tenant: Tenant) -> Aged:
    """`aged(31)` moves the owner's jobs, events, studies and deletions 31 days into the past."""

    def move(days: int) -> None:
        past = timedelta(days=days)
        with sessions.begin() as session:
            own = Job.owner_id == tenant.owner_id
            session.execute(
                update(JobEvent).where(JobEvent.job_id.in_(select(Job.id).where(own))).values(created_at=JobEvent.created_at - past)
            )
            session.execute(update(Job).where(own).values(finished_at=Job.finished_at - past))
            session.execute(update(Study).where(Study.owner_id == tenant.owner_id).values(created_at=Study.created_at - past))
            for table in (Model, Dataset, ConceptSet):
                session.execute(update(table).where(table.owner_id == tenant.owner_id).values(deleted_at=table.deleted_at - past))

    return move


@pytest.fixture
def collect(sessions: SessionFactory, settings: Settings) -> Callable[[], Expired]:
    def run() -> Expired:
        with sessions() as session:
            return expire(session, settings)

    return run


def events(sessions: SessionFactory, job_id: str) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(JobEvent.type).where(JobEvent.job_id == job_id).order_by(JobEvent.id)))


def present(sessions: SessionFactory, *job_ids: str) -> list[bool]:
    with sessions() as session:
        return [session.get(Job, job_id) is not None for job_id in job_ids]


def failed_job(rows: Rows) -> str:
    job_id = rows.job()
    token = rows.claim(job_id)
    rows.progress(job_id, token, 3)
    rows.fail(job_id, token, "Class 7 has no test image.")
    return job_id


def test_events_of_finished_jobs_expire_and_changes_of_state_stay(
    client: TestClient, rows: Rows, sessions: SessionFactory, aged: Aged, collect: Callable[[], Expired]
) -> None:
    failed, running = failed_job(rows), rows.job()
    rows.progress(running, rows.claim(running), 3)
    aged(29)
    assert collect().events == 0
    aged(2)
    assert collect().events == 1
    assert events(sessions, failed) == ["state", "state", "state"]
    assert "progress" in events(sessions, running)
    assert [event["type"] for event in client.get(f"/v1/jobs/{failed}/events").json()["data"]] == ["state", "state", "state"]


def test_failed_and_canceled_jobs_and_validations_expire_and_results_stay(
    rows: Rows, sessions: SessionFactory, aged: Aged, collect: Callable[[], Expired]
) -> None:
    failed, canceled, validation, unfinished = failed_job(rows), rows.job(), rows.job(kind="check_model"), rows.job()
    rows.cancel(canceled)
    rows.fail(validation, rows.claim(validation), "The file is damaged.")
    scored, _ = rows.succeeded_job()
    aged(89)
    assert collect().jobs == 0
    aged(2)
    assert collect().jobs == 3
    assert present(sessions, failed, canceled, validation, unfinished, scored) == [False, False, False, True, True]


def test_results_expire_by_the_owners_own_period_with_studies_first(
    client: TestClient,
    rows: Rows,
    other_rows: Rows,
    sessions: SessionFactory,
    settings: Settings,
    tenant: Tenant,
    aged: Aged,
    collect: Callable[[], Expired],
) -> None:
    study = client.post("/v1/studies", json=rows.study_request()).json()["id"]
    cells = [cell["job"] for cell in client.get(f"/v1/studies/{study}/cells").json()["data"]]
    for cell in cells:
        rows.succeed(cell, rows.claim(cell))
    explained = rows.explainable_job()
    explanation = rows.explained_job(explained, [{"index": 0}])
    others, _ = other_rows.succeeded_job()
    aged(400)
    assert collect() == Expired(events=0, studies=0, jobs=0, deleted=0)
    with sessions.begin() as session:
        assert set_overrides(session, tenant.owner_id, {"results": 365})
    assert client.get("/v1/quotas").json()["retention"]["results_days"] == 365
    assert collect() == Expired(events=0, studies=1, jobs=len(cells) + 2, deleted=0)
    assert present(sessions, *cells, explained, explanation, others) == [False] * (len(cells) + 2) + [True]
    assert client.get(f"/v1/studies/{study}").status_code == 404


def test_a_study_with_a_young_job_keeps_all_its_jobs(
    client: TestClient, rows: Rows, sessions: SessionFactory, tenant: Tenant, aged: Aged, collect: Callable[[], Expired]
) -> None:
    study = client.post("/v1/studies", json=rows.study_request()).json()["id"]
    old, young, *others = (cell["job"] for cell in client.get(f"/v1/studies/{study}/cells").json()["data"])
    for cell in (old, *others):
        rows.cancel(cell)
    aged(400)
    rows.succeed(young, rows.claim(young))
    with sessions.begin() as session:
        set_overrides(session, tenant.owner_id, {"results": 365})
    assert collect() == Expired(events=0, studies=0, jobs=0, deleted=0)
    assert present(sessions, old, young) == [True, True]


def test_deleted_models_data_sets_and_concept_sets_are_removed_when_no_job_names_them(
    client: TestClient, rows: Rows, sessions: SessionFactory, aged: Aged, collect: Callable[[], Expired]
) -> None:
    model, dataset, concept_set, used = rows.model(), rows.dataset(), rows.concept_set(), rows.model()
    rows.succeed(job := rows.job(used), rows.claim(job))
    for path in (f"models/{model}", f"datasets/{dataset}", f"concept-sets/{concept_set}", f"models/{used}"):
        assert client.delete(f"/v1/{path}").status_code == 204
    aged(29)
    assert collect().deleted == 0
    aged(2)
    assert collect().deleted == 3
    with sessions() as session:
        assert [session.get(table, key) for table, key in ((Model, model), (Dataset, dataset), (ConceptSet, concept_set))] == [None] * 3
        assert session.get(ConceptSetVersion, (concept_set, 1)) is None
        assert session.get(Model, used) is not None
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert collect().deleted == 1


def test_revoked_and_expired_keys_are_removed(client: TestClient, sessions: SessionFactory, collect: Callable[[], Expired]) -> None:
    revoked, expired, kept = (client.post("/v1/api-keys", json={"name": name}).json() for name in ("revoked", "expired", "kept"))
    with sessions.begin() as session:
        past = datetime.now(UTC) - timedelta(days=31)
        session.execute(update(ApiKey).where(ApiKey.id == revoked["id"]).values(revoked_at=past))
        session.execute(update(ApiKey).where(ApiKey.id == expired["id"]).values(expires_at=past))
    assert collect().deleted == 2
    assert [client.get(key["links"]["self"]).status_code for key in (revoked, expired, kept)] == [404, 404, 200]


def test_expired_share_links_are_removed(client: TestClient, rows: Rows, sessions: SessionFactory, collect: Callable[[], Expired]) -> None:
    job_id, _ = rows.succeeded_job()
    ended, kept = (client.post("/v1/shares", json={"job": job_id}).json() for _ in range(2))
    with sessions.begin() as session:
        session.execute(update(Share).where(Share.id == ended["id"]).values(expires_at=datetime.now(UTC) - timedelta(days=31)))
    assert collect().deleted == 1
    assert [client.get(share["links"]["self"]).status_code for share in (ended, kept)] == [404, 200]


def test_zero_keeps_everything(rows: Rows, sessions: SessionFactory, settings: Settings, tenant: Tenant, aged: Aged) -> None:
    job_id = failed_job(rows)
    aged(30_000)
    kept = settings.model_copy(update={f"retention_{name}_days": 0 for name in ("results", "failed_jobs", "events", "deleted")})
    with sessions() as session:
        assert not expire(session, kept).any
        assert len(events(sessions, job_id)) == 4
        assert expire(session, settings).jobs == 1


def test_the_operator_shows_and_sets_the_periods_of_an_owner(
    tenant: Tenant, other_tenant: Tenant, capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    assert operate([tenant.owner_id, "--results-days", "365", "--events-days", "0"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"results +365 days, its own", shown)
    assert re.search(r"events +kept, its own", shown)
    assert re.search(r"failed_jobs +90 days\n", shown)
    assert operate([tenant.owner_id, "--results-days", "default"]) == 0
    assert re.search(r"results +kept\n", capsys.readouterr().out)
    for wrong in (["--results-days", "5"], ["own_none", "--results-days", "5"], [tenant.owner_id, "--results-days", "-1"]):
        with pytest.raises(SystemExit):
            operate(wrong)
