"""Jobs of kind explain over HTTP: accepted and refused requests, pages of rows, and downloads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.db.models import Job
from app.db.session import SessionFactory
from support.rows import Rows


def row(index: int) -> dict[str, Any]:
    """A row as a worker writes it; its length varies with its index."""
    share = {"concept": 3, "label": "a loop" * index, "origin": "cluster", "activation": 1 / 3, "contribution": 2 / 3}
    removed = [{"concept": 3, "label": None, "contribution": 0.1}]
    return {
        "index": index,
        "name": f"test/3/{index}.png",
        "label": "3",
        "error": None,
        **dict.fromkeys(("representation", "interpretation"), "3"),
        **{f"{name}_probability": 0.9 for name in ("representation", "interpretation")},
        "agree": True,
        "representation_correct": True,
        "interpretation_correct": True,
        "contrast": None,
        "logit": 2.0,
        "bias": 0.5,
        "concepts": [share],
        "remainder": 0.0,
        "remaining": 0,
        "counterfactual": {"removed": removed, "class": "2", "probability": 0.5} if index % 2 else None,
    }


def test_the_test_images_of_a_scored_job_are_explained_by_a_job(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    scored = rows.explainable_job()
    response = client.post("/v1/jobs", json={"kind": "explain", "job": scored, "split": "test", "kept": 2, "deadline_seconds": 90})
    assert response.status_code == 201, response.text
    job = response.json()
    assert {name: job[name] for name in ("kind", "job", "split", "upload", "kept", "sparsity", "top", "contrast", "deadline_seconds")} == {
        "kind": "explain",
        "job": scored,
        "split": "test",
        "upload": None,
        "kept": 2,
        "sparsity": 0.5,
        "top": 8,
        "contrast": None,
        "deadline_seconds": 90,
    }
    assert "library" not in job
    assert job["links"]["explained"] == f"/v1/jobs/{scored}"
    with sessions() as session:
        explaining, explained = session.get_one(Job, job["id"]), session.get_one(Job, scored)
        assert (explaining.model_id, explaining.dataset_id) == (explained.model_id, explained.dataset_id)
    stored = client.get(response.headers["location"]).json()
    assert stored.pop("queue_position") >= 1
    assert stored == {name: value for name, value in job.items() if name != "queue_position"}


@pytest.mark.parametrize(("asked", "kept"), [({}, 4), ({"sparsity": 0.5}, 2), ({"sparsity": 0.75}, 1)])
def test_a_node_is_selected_as_for_one_image(client: TestClient, rows: Rows, asked: dict[str, Any], kept: int) -> None:
    response = client.post("/v1/jobs", json={"kind": "explain", "job": rows.explainable_job(), "split": "test", **asked})
    assert response.json()["kept"] == kept


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({}, "body", "give split for the job's test images or upload"),
        ({"split": "test", "upload": "upl_1"}, "body", "not both"),
        ({"split": "test", "kept": 2, "sparsity": 0.5}, "body", "Give kept or sparsity, not both"),
        ({"split": "train"}, "split", "'test'"),
        ({"split": "test", "top": 101}, "top", "100"),
        ({"split": "test", "kept": 3}, "kept", "no node at kept = 3; it keeps 4, 2, 1 of 4 concepts"),
        ({"split": "test", "sparsity": 0.3}, "sparsity", "sparsity = 0.3, which keeps 3"),
        ({"split": "test", "sparsity": 7}, "sparsity", "between 0 and 1"),
        ({"split": "test", "contrast": "cow"}, "contrast", "There is no class 'cow'; the classes are cat, dog."),
        ({"split": "test", "library": {"kind": "random"}}, "library", "not permitted"),
    ],
)
def test_an_unexplainable_request_is_refused_with_a_reason(
    client: TestClient, rows: Rows, asked: dict[str, Any], param: str, words: str
) -> None:
    scored = rows.explainable_job(dataset=rows.dataset(info={"class_names": ["cat", "dog"]}))
    response = client.post("/v1/jobs", json={"kind": "explain", "job": scored, **asked})
    assert response.status_code == 422, response.text
    assert words in response.json()["detail"]
    assert response.json()["errors"][0]["param"] == param


def test_an_unknown_kind_is_refused_with_the_existing_ones(client: TestClient) -> None:
    for kind in ("distill", 7, None):
        refused = client.post("/v1/jobs", json={"kind": kind}).json()
        assert f"There is no job kind '{kind}'; the kinds are score, explain, finetune." in refused["detail"]
        assert refused["errors"][0]["param"] == "kind"
    (absent,) = client.post("/v1/jobs", json={"split": "test"}).json()["errors"]
    assert absent == {
        "param": "kind",
        "message": "Say which kind of job this is; the kinds are score, explain, finetune.",
        "code": "missing",
    }
    assert client.post("/v1/jobs", json=[]).status_code == 422


def test_only_a_scored_job_with_predictors_can_be_explained(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    def refused(job: str) -> tuple[int, str, str]:
        response = client.post("/v1/jobs", json={"kind": "explain", "job": job, "split": "test"})
        assert response.json()["errors"][0]["param"] == "job"
        return response.status_code, response.json()["code"], response.json()["detail"]

    assert refused("job_1")[:2] == (404, "not_found")
    assert refused(other_rows.explainable_job())[:2] == (404, "not_found")
    assert refused(rows.job())[:2] == (409, "job_unfinished")
    old, _ = rows.succeeded_job()
    assert refused(old)[1:] == (
        "no_predictor",
        f"Job {old} cannot be explained: it was scored before explanations were kept; submit it again.",
    )
    scored = rows.explainable_job()
    batch = rows.explain_job(scored)
    assert refused(batch) == (
        409,
        "other_kind",
        f"Job {batch} is of kind explain. Ask for this at the scored job that it explains, {scored}.",
    )


def test_an_archive_requires_a_network_and_a_complete_upload(client: TestClient, rows: Rows) -> None:
    def answered(upload: str, scored: str) -> tuple[int, str]:
        response = client.post("/v1/jobs", json={"kind": "explain", "job": scored, "upload": upload})
        return response.status_code, response.json().get("code", "accepted")

    whole = client.post("/v1/uploads/small", files={"file": ("a.zip", b"abc")}).json()["id"]
    opened = client.post("/v1/uploads", json={"filename": "a.zip", "size_bytes": 1, "sha256": "0" * 64}).json()["id"]
    assert answered(whole, rows.explainable_job()) == (201, "accepted")
    assert answered(opened, rows.explainable_job()) == (409, "upload_open")
    assert answered("upl_1", rows.explainable_job()) == (404, "not_found")
    assert answered(whole, rows.explainable_job(dataset=rows.dataset(kind="features"))) == (422, "no_images")


def test_pages_have_every_row_once_and_the_download_has_all_rows(client: TestClient, rows: Rows) -> None:
    written = [row(index) for index in range(7)]
    at = f"/v1/jobs/{rows.explained_job(rows.explainable_job(), written)}"
    seen, url = list[dict[str, Any]](), f"{at}/rows?limit=3"
    while url:
        response = client.get(url)
        assert "immutable" in response.headers["cache-control"]
        seen += response.json()["data"]
        assert response.json()["has_more"] == ("next" in response.json()["links"])
        url = response.json()["links"].get("next")
    assert seen == written
    lines = client.get(f"{at}/rows.jsonl")
    assert [json.loads(line) for line in lines.text.splitlines()] == written
    assert lines.headers["content-type"] == "application/jsonl"
    table = client.get(f"{at}/rows.parquet")
    assert (table.content, table.headers["content-type"]) == (b"PAR1", "application/vnd.apache.parquet")
    assert client.get(f"{at}/rows.parquet", headers={"If-None-Match": table.headers["etag"]}).status_code == 304
    assert client.get(f"{at}/rows?after=6").json()["data"] == client.get(f"{at}/rows?after=99").json()["data"] == []
    assert client.get(f"{at}/rows?after=job_1").json()["errors"][0]["param"] == "after"


def test_the_result_of_a_batch_is_its_summary(client: TestClient, rows: Rows) -> None:
    scored = rows.explainable_job()
    result = client.get(f"/v1/jobs/{rows.explained_job(scored, [row(0), row(1)])}/result").json()
    assert (result["kind"], result["explained"], result["kept"], result["sparsity"]) == ("explain", scored, 2, 0.5)
    assert (result["summary"]["count"], result["summary"]["agreement"]) == (2, 2 / 3)
    assert (result["summary"]["accuracy_representation"], result["summary"]["accuracy_interpretation"]) == (None, 0.75)
    for link in result["links"].values():
        assert client.get(link).status_code == 200
    assert client.get(f"/v1/jobs/{scored}/result").json()["kind"] == "score"


@pytest.mark.parametrize("path", ["curves", "plots", "plots/arr.png", "explanations", "classes", "concepts"])
def test_other_results_of_a_batch_are_a_409_that_names_the_scored_job(client: TestClient, rows: Rows, path: str) -> None:
    scored = rows.explainable_job()
    response = client.get(f"/v1/jobs/{rows.explained_job(scored, [row(0)])}/{path}")
    assert (response.status_code, response.json()["code"]) == (409, "other_kind")
    assert scored in response.json()["detail"]


@pytest.mark.parametrize("path", ["rows", "rows.jsonl", "rows.parquet"])
def test_rows_exist_only_for_a_succeeded_batch(client: TestClient, rows: Rows, path: str) -> None:
    scored = rows.explainable_job()
    refused = client.get(f"/v1/jobs/{scored}/{path}").json()
    assert (refused["status"], refused["code"]) == (409, "other_kind")
    assert "Only a job of kind explain has rows" in refused["detail"]
    waiting = client.get(f"/v1/jobs/{rows.explain_job(scored)}/{path}")
    assert (waiting.status_code, waiting.json()["code"]) == (409, "job_unfinished")
    assert waiting.headers["retry-after"].isdigit()


def test_the_list_of_jobs_is_filtered_by_kind(client: TestClient, rows: Rows) -> None:
    scored = rows.explainable_job()
    batch = rows.explain_job(scored)
    assert [job["id"] for job in client.get("/v1/jobs").json()["data"]] == [batch, scored]
    assert [job["id"] for job in client.get("/v1/jobs?kind=score").json()["data"]] == [scored]
    listed = client.get("/v1/jobs?kind=explain").json()
    assert [(job["id"], job["kind"], job["job"]) for job in listed["data"]] == [(batch, "explain", scored)]
    assert "kind=explain" in listed["links"]["self"]


def test_a_batch_is_canceled_like_any_job(client: TestClient, rows: Rows) -> None:
    answer = client.post(f"/v1/jobs/{rows.explain_job(rows.explainable_job())}/cancel")
    assert (answer.status_code, answer.json()["kind"], answer.json()["state"]) == (200, "explain", "canceled")
