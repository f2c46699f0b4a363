"""ARR curves over HTTP, as JSON and as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from fastapi.testclient import TestClient

from support.rows import Rows


def test_curves_have_names_and_increasing_sparsity(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}/curves")
    curves = response.json()["data"]
    assert [curve["name"] for curve in curves] == ["isotropic", "library", "matched"]
    assert [(point["sparsity"], point["kept"]) for point in curves[1]["points"]] == [(0.0, 8), (0.9, 1), (0.98, 1), (1.0, 0)]
    assert curves[1]["points"][2]["accuracy"] == 1 / 3
    assert "immutable" in response.headers["cache-control"]
    tag = response.headers["etag"]
    assert client.get(f"/v1/jobs/{job_id}/curves", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("asking", ["?format=csv", "Accept"])
def test_the_csv_has_the_same_numbers_as_the_json(client: TestClient, rows: Rows, asking: str) -> None:
    job_id, _ = rows.succeeded_job()
    path = f"/v1/jobs/{job_id}/curves"
    response = client.get(path, headers={"Accept": "text/csv"}) if asking == "Accept" else client.get(path + asking)
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert job_id in response.headers["content-disposition"]
    found = list(csv.DictReader(io.StringIO(response.text)))
    expected = [{"curve": curve["name"], **point} for curve in client.get(path).json()["data"] for point in curve["points"]]
    assert len(found) == 12
    for line, point in zip(found, expected, strict=True):
        assert line.pop("curve") == point.pop("curve")
        assert {name: float(cell) if cell else None for name, cell in line.items()} == point
    assert response.headers["etag"] != client.get(path).headers["etag"]
    assert client.get(path, headers={"Accept": "text/csv", "If-None-Match": response.headers["etag"]}).status_code == 304


def test_the_format_parameter_overrides_the_accept_header(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}/curves?format=json", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "application/json"
    assert client.get(f"/v1/jobs/{job_id}/curves?format=xml").status_code == 422
