"""Metrics of concepts over HTTP, as JSON and as CSV."""

from __future__ import annotations

import csv
import io

from fastapi.testclient import TestClient
from sqlalchemy import update

from app.db.models import Result
from app.db.session import SessionFactory
from support.result_rows import CONCEPT_METRICS
from support.rows import Rows


def test_every_concept_has_its_metrics_in_the_order_of_the_library(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    found = client.get(f"/v1/jobs/{job_id}/concept-metrics").json()
    assert found["data"] == CONCEPT_METRICS
    assert client.get(found["links"]["csv"]).headers["content-type"] == "text/csv; charset=utf-8"


def test_the_csv_has_the_same_values_and_an_empty_cell_for_an_absent_one(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}/concept-metrics", headers={"Accept": "text/csv"})
    lines = list(csv.DictReader(io.StringIO(response.text)))
    assert [line["mono_score"] for line in lines] == ["0.31", "", repr(1 / 3), "0.5"]
    assert [line["top_class"] for line in lines] == [entry["top_class"] for entry in CONCEPT_METRICS]
    assert f"{job_id}-concept-metrics.csv" in response.headers["content-disposition"]


def test_results_of_the_first_edition_have_no_metrics(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job_id, _ = rows.succeeded_job()
    with sessions.begin() as session:
        session.execute(update(Result).where(Result.job_id == job_id).values(concept_metrics=None))
    assert client.get(f"/v1/jobs/{job_id}/concept-metrics").json()["data"] == []
