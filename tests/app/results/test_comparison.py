"""Reports and curves of several jobs in one answer."""

from __future__ import annotations

from fastapi.testclient import TestClient

from iis_schemas.results.comparisons import MAX_COMPARED
from support.rows import Rows


def test_a_comparison_has_the_reports_and_curves_in_the_order_that_is_asked_for(client: TestClient, rows: Rows) -> None:
    jobs = [rows.succeeded_job()[0] for _ in range(3)]
    for order in (jobs, jobs[::-1]):
        compared = client.get("/v1/comparison", params={"job": order}).json()["data"]
        assert [one["job"] for one in compared] == order
        for one in compared:
            assert one["report"] == client.get(f"/v1/jobs/{one['job']}/result").json()["report"]
            assert one["curves"] == client.get(f"/v1/jobs/{one['job']}/curves").json()["data"]


def test_jobs_that_cannot_be_compared_are_refused(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    own, foreign, unfinished = rows.succeeded_job()[0], other_rows.succeeded_job()[0], rows.job()
    for jobs, status in (
        ([own, foreign], 404),
        ([own, unfinished], 409),
        ([own] * (MAX_COMPARED + 1), 422),
    ):
        assert client.get("/v1/comparison", params={"job": jobs}).status_code == status
    assert MAX_COMPARED == 12
