"""A poll of a job: one query, which confirms the API key, and what it answers once the key is revoked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event, text, update

from app.db.models import ApiKey
from app.db.session import SessionFactory
from support.query_plans import indexes, plans_of, rows_read, scans
from support.rows import Rows
from support.tenants import Tenant

FILL = (
    "INSERT INTO jobs (id, owner_id, kind, spec, state, attempt, deadline_seconds)"
    " SELECT 'job_z' || n, :owner, 'score', '{}', 'succeeded', 1, 60 FROM generate_series(1, 2000) n"
)


@pytest.fixture
def polled(client: TestClient, rows: Rows) -> str:
    """Address of a job that this client has polled, so that the process knows its key."""
    at = f"/v1/jobs/{rows.job()}"
    for _ in range(2):  # the first request notes that the key was used, the second reads that
        assert client.get(at).status_code == 200
    return at


def test_a_poll_of_a_job_is_one_query_by_index(
    client: TestClient, app: FastAPI, sessions: SessionFactory, tenant: Tenant, polled: str
) -> None:
    statements: list[tuple[str, dict[str, object]]] = []
    event.listen(app.state.engine, "before_cursor_execute", lambda *args: statements.append((args[2], args[3])))
    assert client.get(polled).status_code == 200
    ((statement, parameters),) = statements
    with sessions() as session:
        session.execute(text(FILL), {"owner": tenant.owner_id})
        session.execute(text("ANALYZE jobs"))
        session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")  # the other tables of a test have one page
        (plan,) = plans_of(session, lambda: session.connection().exec_driver_sql(statement, parameters))
        session.rollback()
    assert {node["Node Type"] for node in scans(plan, "api_keys")} <= {"Index Scan", "Index Only Scan"}
    assert indexes(plan) & {"pk_jobs", "ix_jobs_owner_id_id"}
    assert rows_read(plan, "jobs") < 200, "the job, and the queue for its place in it"


def test_a_revoked_expired_or_replaced_key_is_refused_from_the_next_poll_on(
    client: TestClient, sessions: SessionFactory, tenant: Tenant, polled: str
) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    for changed, restored in (({"revoked_at": past}, {"revoked_at": None}), ({"expires_at": past}, {"expires_at": None})):
        for values, status in ((changed, 401), (restored, 200)):
            with sessions.begin() as session:
                session.execute(update(ApiKey).where(ApiKey.owner_id == tenant.owner_id).values(values))
            assert client.get(polled).status_code == status, values


def test_polls_of_absent_jobs_and_of_other_owners_jobs_are_not_found(
    client: TestClient, app: FastAPI, other_rows: Rows, polled: str
) -> None:
    assert client.get(polled).status_code == 200
    statements: list[str] = []
    event.listen(app.state.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for absent in ("job_absent", other_rows.job()):
        assert client.get(f"/v1/jobs/{absent}").status_code == 404
    statements.clear()
    assert client.get(polled).status_code == 200
    assert len(statements) == 1, "the process still knows the key"


def test_a_rotated_keys_earlier_secret_polls_until_it_expires(client: TestClient, polled: str) -> None:
    (key,) = client.get("/v1/api-keys").json()["data"]
    assert client.post(f"/v1/api-keys/{key['id']}/rotate", json={"grace_seconds": 60}).status_code == 200
    for _ in range(2):
        assert client.get(polled).status_code == 200
