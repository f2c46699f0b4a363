"""The report of a job over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from support.rows import Rows


def test_a_finished_job_has_a_report_that_never_changes(client: TestClient, rows: Rows) -> None:
    job_id, library_id = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}/result")
    result = response.json()
    assert (result["job"], result["library"]) == (job_id, library_id)
    assert result["report"].items() >= {"iis": 2 / 3, "iis_low": 0.6, "iis_high": 0.7, "warnings": []}.items()
    assert result["links"]["library"] == f"/v1/concept-libraries/{library_id}"
    assert all(client.get(link).status_code == 200 for link in result["links"].values())
    assert "immutable" in response.headers["cache-control"]
    again = client.get(f"/v1/jobs/{job_id}/result", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_every_part_of_the_result_of_an_unfinished_job_is_a_409_with_retry_after(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    for path in ("result", "curves", "plots", "plots/arr.png"):
        response = client.get(f"/v1/jobs/{job_id}/{path}")
        assert (response.status_code, response.json()["code"]) == (409, "job_unfinished")
        assert response.headers["retry-after"].isdigit()


def test_the_result_of_a_failed_job_is_its_error(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    rows.fail(job_id, rows.claim(job_id), "Class 7 has no test image.")
    response = client.get(f"/v1/jobs/{job_id}/result")
    assert (response.status_code, response.json()["code"]) == (409, "job_failed")
    assert "Class 7 has no test image." in response.json()["detail"]
    assert "retry-after" not in response.headers


def test_the_result_of_a_canceled_job_is_a_409_without_retry_after(client: TestClient, rows: Rows) -> None:
    job_id = rows.job()
    rows.cancel(job_id)
    response = client.get(f"/v1/jobs/{job_id}/result")
    assert (response.status_code, response.json()["code"]) == (409, "job_canceled")
    assert "retry-after" not in response.headers
