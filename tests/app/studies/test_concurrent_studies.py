"""Concurrent studies, and jobs shared by several studies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from app.db.models import Job
from app.db.session import SessionFactory
from support.rows import Rows
from support.tenants import Tenant


def cells_of(client: Any, study: dict[str, Any]) -> list[dict[str, Any]]:
    return client.get(f"{study['links']['cells']}?limit=100").json()["data"]


def test_concurrent_equal_studies_create_each_job_once(live: httpx.Client, rows: Rows, sessions: SessionFactory, tenant: Tenant) -> None:
    body = rows.study_request(seeds=list(range(10)))
    with ThreadPoolExecutor(4) as pool:
        posts = [pool.submit(live.post, "/v1/studies", json=body) for _ in range(4)]
    studies = [post.result().json() for post in posts]
    jobs = [[cell["job"] for cell in cells_of(live, study)] for study in studies]
    assert all(one == jobs[0] for one in jobs)
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.owner_id == tenant.owner_id)) == len(jobs[0]) == 40


def test_shared_jobs_are_canceled_with_the_last_study_that_uses_them(client: TestClient, rows: Rows) -> None:
    body = rows.study_request()
    first, second = (client.post("/v1/studies", json=body).json() for _ in range(2))
    assert client.post(first["links"]["cancel"]).json()["jobs"]["queued"] == 4
    assert [cell["created"] for cell in cells_of(client, second)] == [True] * 4
    canceled = client.post(second["links"]["cancel"])
    assert (canceled.status_code, canceled.json()["jobs"]["canceled"]) == (200, 4)
    for study in (first, second):
        assert client.delete(study["links"]["self"]).status_code == 204


def test_an_extension_replaces_jobs_that_are_being_canceled(client: TestClient, rows: Rows) -> None:
    study = client.post("/v1/studies", json=rows.study_request(libraries=[{"kind": "cluster"}])).json()
    stopping, queued = (cell["job"] for cell in cells_of(client, study))
    rows.claim(stopping)
    assert client.post(study["links"]["cancel"]).json()["jobs"]["canceling"] == 1
    extended = client.post(study["links"]["extend"], json={}).json()
    assert (extended["jobs"]["queued"], extended["jobs"]["total"]) == (2, 2)
    assert {stopping, queued}.isdisjoint(cell["job"] for cell in cells_of(client, extended))


def test_a_study_is_accepted_while_a_job_locks_the_same_model_and_data_set(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    body = rows.study_request(libraries=[{"kind": "cluster"}])
    with sessions.begin() as session:  # as a job is accepted: it holds what it names until it commits
        for table, row in (("models", body["models"][0]), ("datasets", body["datasets"][0])):
            session.connection().exec_driver_sql(f"SELECT 1 FROM {table} WHERE id = %s FOR SHARE", (row,))  # noqa: S608
        assert client.post("/v1/studies", json=body).status_code == 201


def test_an_extended_study_has_the_limits_of_a_new_one(client: TestClient, rows: Rows) -> None:
    grids = [[0, place / 100] for place in range(1, 66)]
    study = client.post("/v1/studies", json=rows.study_request(sparsity_grids=grids[:64])).json()
    refused = client.post(study["links"]["extend"], json={"sparsity_grids": grids[64:]})
    assert (refused.status_code, refused.json()["code"]) == (422, "too_many")
    assert "65 sparsity_grids" in refused.json()["detail"]
