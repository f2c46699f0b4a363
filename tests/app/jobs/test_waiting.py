"""Jobs over HTTP: `Prefer: wait`, without blocking other requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.db.models import Job
from app.db.session import SessionFactory
from support.rows import Rows
from support.servers import ServerProcess, WaitUntil


def test_waiting_for_a_job_ends_when_the_job_ends(
    live: httpx.Client, rows: Rows, app: FastAPI, wait_until: WaitUntil, waiting_count: Callable[[str], int]
) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    with ThreadPoolExecutor(1) as pool:
        started = time.monotonic()
        answer = pool.submit(live.get, f"/v1/jobs/{job_id}", headers={"Prefer": "wait=25"})
        wait_until(lambda: waiting_count(job_id), what="the request to wait")
        wait_until(lambda: app.state.engine.pool.checkedout() == 0, what="the waiting request to hold no connection of the pool")
        rows.succeed(job_id, token)
        response = answer.result(20)
    assert response.json()["state"] == "succeeded"
    assert response.headers["preference-applied"] == "wait=25"
    assert "retry-after" not in response.headers
    assert time.monotonic() - started < 15


@pytest.mark.slow
def test_a_database_outage_during_a_wait_is_a_503(
    live: httpx.Client, rows: Rows, wait_until: WaitUntil, waiting_count: Callable[[str], int], postgres_server: ServerProcess
) -> None:
    job_id = rows.job()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(live.get, f"/v1/jobs/{job_id}", headers={"Prefer": "wait=25"})
        wait_until(lambda: waiting_count(job_id), what="the request to wait")
        postgres_server.stop()
        try:
            response = answer.result(30)
        finally:
            postgres_server.start()
    assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
    assert response.headers["retry-after"].isdigit()
    assert live.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"


def test_waiting_times_out_with_the_current_state(live: httpx.Client, rows: Rows) -> None:
    response = live.get(f"/v1/jobs/{rows.job()}", headers={"Prefer": "respond-async, wait=1"})
    assert (response.status_code, response.json()["state"]) == (200, "queued")
    assert response.headers["preference-applied"] == "wait=1"
    assert response.headers["retry-after"].isdigit()


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "waits"}])
def test_a_waiting_post_returns_201_when_the_job_has_finished(
    live: httpx.Client, rows: Rows, sessions: SessionFactory, wait_until: WaitUntil, headers: dict[str, str]
) -> None:
    body = rows.request()

    def job_id() -> str | None:
        with sessions() as session:
            return session.scalar(select(Job.id).where(Job.dataset_id == body["dataset"]))

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(live.post, "/v1/jobs", json=body, headers={"Prefer": "wait=25", **headers})
        found = wait_until(job_id, what="the job to be committed while its request still waits")
        rows.succeed(found, rows.claim(found))
        response = answer.result(20)
    assert (response.status_code, response.json()["state"]) == (201, "succeeded")
    assert response.headers["location"] == f"/v1/jobs/{found}"
    assert response.headers["preference-applied"] == "wait=25"


def test_a_wait_for_a_finished_job_returns_at_once(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"})
    assert response.json()["state"] == "succeeded"
    assert client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": response.headers["etag"], "Prefer": "wait=60"}).status_code == 304


def test_many_waiting_requests_do_not_block_other_requests(
    live: httpx.Client, rows: Rows, wait_until: WaitUntil, waiting_count: Callable[[str], int]
) -> None:
    job_id = rows.job()
    token = rows.claim(job_id)
    with ThreadPoolExecutor(60) as pool:
        answers = [pool.submit(live.get, f"/v1/jobs/{job_id}", headers={"Prefer": "wait=25"}) for _ in range(60)]
        wait_until(lambda: waiting_count(job_id) == 60, what="60 requests to wait")
        assert live.get("/v1/jobs").status_code == 200
        rows.succeed(job_id, token)
        assert [answer.result(20).json()["state"] for answer in answers] == ["succeeded"] * 60
