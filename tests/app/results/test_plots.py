"""Figures over HTTP."""

from __future__ import annotations

from fastapi.testclient import TestClient

from app.storage import ArtifactStore
from support.rows import Rows


def test_the_list_links_to_every_figure(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    response = client.get(f"/v1/jobs/{job_id}/plots")
    plots = response.json()["data"]
    assert [(plot["name"], plot["format"]) for plot in plots] == [("accuracy", "png"), ("accuracy", "svg"), ("arr", "png"), ("arr", "svg")]
    for plot in plots:
        figure = client.get(plot["links"]["self"])
        assert figure.status_code == 200
        assert figure.headers["content-type"].startswith({"png": "image/png", "svg": "image/svg+xml"}[plot["format"]])
        assert figure.headers["etag"] == f'"{plot["sha256"]}"'
        assert figure.content.endswith(plot["name"].encode())
    assert client.get(f"/v1/jobs/{job_id}/plots", headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_a_figure_with_a_matching_etag_is_a_304(client: TestClient, rows: Rows, store: ArtifactStore) -> None:
    job_id, _ = rows.succeeded_job()
    figure = client.get(f"/v1/jobs/{job_id}/plots/arr.png")
    assert "immutable" in figure.headers["cache-control"]
    store.delete(figure.headers["etag"].strip('"'))
    again = client.get(f"/v1/jobs/{job_id}/plots/arr.png", headers={"If-None-Match": figure.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_svg_is_served_with_a_policy_that_forbids_scripts(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    figure = client.get(f"/v1/jobs/{job_id}/plots/arr.svg")
    assert "default-src 'none'" in figure.headers["content-security-policy"]
    assert figure.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_figure_is_a_404_with_the_existing_names(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    for name in ("loss.png", "arr.pdf"):
        response = client.get(f"/v1/jobs/{job_id}/plots/{name}")
        assert response.status_code == 404
        assert "accuracy.png, accuracy.svg, arr.png, arr.svg" in response.json()["detail"]
    assert client.get(f"/v1/jobs/{job_id}/plots/arr").status_code == 404
