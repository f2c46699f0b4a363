"""Jobs of kind finetune over HTTP: accepted and refused requests, results, and the checkpoint of the fine-tuned model."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.db.models import Job
from app.db.session import SessionFactory
from support.rows import Rows
from support.tenants import Tenant

SCHEDULE = {
    **{"sparsity": 0.1, "lambda": 1.0, "epochs": 10, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01},
    **{"batch_size": 64, "accumulation_steps": 1, "warmup_epochs": 1, "trains": "all", "rebuild_every": None, "patience": None},
    **{"precision": "auto", "seeds": [0, 1, 2]},
}


def request(rows: Rows, **changes: Any) -> dict[str, Any]:
    """A body for POST /v1/jobs, on a model and a data set made for it unless given."""
    made = {name: make() for name, make in (("model", rows.model), ("dataset", rows.dataset)) if name not in changes}
    return {"kind": "finetune", "library": {"kind": "cluster"}, **made, **changes}


def test_omitted_fields_have_the_defaults_of_the_engine(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    asked = request(rows)
    response = client.post("/v1/jobs", json=asked)
    assert response.status_code == 201, response.text
    job = response.json()
    assert {name: job[name] for name in SCHEDULE} == SCHEDULE
    assert (job["kind"], job["library"]) == ("finetune", {"kind": "cluster", "concept_count": 200})
    assert (job["model"], job["dataset"]) == (asked["model"], asked["dataset"])
    assert set(job["links"]) == {"self", "events", "result", "cancel"}
    stored = client.get(response.headers["location"]).json()
    assert stored.pop("queue_position") >= 1
    assert stored == {name: value for name, value in job.items() if name != "queue_position"}
    assert [one["id"] for one in client.get("/v1/jobs?kind=finetune").json()["data"]] == [job["id"]]
    with sessions() as session:
        assert session.get_one(Job, job["id"]).spec["lambda"] == 1.0


def test_every_given_field_is_stored(client: TestClient, rows: Rows) -> None:
    given = {
        **{"library": {"kind": "random", "concept_count": 64}, "elements": {"kind": "segments", "images_per_class": 5, "seed": 3}},
        **{"sparsity": 0.5, "lambda": 0.25, "epochs": 3, "optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.0},
        **{"batch_size": 8, "accumulation_steps": 4, "warmup_epochs": 0, "trains": "last", "rebuild_every": 2, "patience": 1},
        **{"precision": "full", "seeds": [7, 5, 11, 2], "deadline_seconds": 90},
    }
    job = client.post("/v1/jobs", json=request(rows, **given)).json()
    assert {name: job[name] for name in given} == given


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"lambda": -0.5}, "lambda", "must be above 0; it is -0.5"),
        ({"lambda": 0}, "lambda", "lambda = 0 is the control, which every job runs anyway"),
        ({"lambda": "much"}, "lambda", "valid number"),
        ({"seeds": [0, 1]}, "seeds", "needs 3 to 20 of them, and these are 2"),
        ({"seeds": list(range(21))}, "seeds", "these are 21"),
        ({"seeds": [0, 1, 1]}, "seeds", "1 is named more than once"),
        ({"seeds": [0, 1, -1]}, "seeds.2", "greater than or equal to 0"),
        ({"library": {"kind": "text"}}, "library.kind", "A text library does not depend on the network alone"),
        ({"library": {"kind": "combined"}}, "library.kind", "takes prototype, cluster, end2end, random"),
        ({"library": {"kind": "neurons"}}, "library.kind", "There is no library kind 'neurons'"),
        ({"library": {"id": "lib_1"}}, "library.kind", "required"),
        ({"rebuild_every": 0}, "rebuild_every", "1 or more, and it is 0"),
        ({"epochs": 0}, "epochs", "1 or more, and it is 0"),
        ({"epochs": 2, "warmup_epochs": 3}, "warmup_epochs", "warm up for 3 epochs of 2"),
        ({"patience": 0}, "patience", "1 or more"),
        ({"batch_size": 0}, "batch_size", "1 or more"),
        ({"batch_size": 256, "accumulation_steps": 257}, "accumulation_steps", "65792 images, would make one step; 65536 are the most"),
        ({"sparsity": 1}, "sparsity", "less than 1"),
        ({"learning_rate": 0}, "learning_rate", "greater than 0"),
        ({"trains": "tail"}, "trains", "'all'"),
        ({"model": None}, "model", "valid string"),
        ({"protocol": "exact"}, "protocol", "not permitted"),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason(
    client: TestClient, rows: Rows, changes: dict[str, Any], param: str, words: str
) -> None:
    response = client.post("/v1/jobs", json=request(rows, **changes))
    assert response.status_code == 422, response.text
    assert words in response.json()["detail"]
    assert response.json()["errors"][0]["param"] == param


def test_an_untrainable_model_or_data_set_is_refused_with_a_suggestion(client: TestClient, rows: Rows) -> None:
    def refused(**changes: Any) -> tuple[int, str, str]:
        response = client.post("/v1/jobs", json=request(rows, **changes))
        (error,) = response.json()["errors"]
        return response.status_code, error["param"], response.json()["detail"]

    status, param, detail = refused(model=rows.model(architecture="onnx"))
    assert (status, param) == (422, "model")
    assert "is a file of onnx, which cannot be trained here" in detail
    status, param, detail = refused(model=rows.vlm())
    assert (status, param) == (422, "model")
    assert "register its image tower as a backbone" in detail
    status, param, detail = refused(dataset=rows.dataset(kind="features"))
    assert (status, param) == (422, "dataset")
    assert "give a data set of images" in detail
    assert refused(model=rows.model(state="pending"))[:2] == (409, "model")
    assert refused(model=rows.model(state="failed", error={"code": "x", "message": "Torn.", "param": None}))[:2] == (422, "model")


def test_foreign_and_missing_inputs_are_404(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    for changes in ({"model": other_rows.model()}, {"dataset": other_rows.dataset()}, {"model": "mdl_1"}):
        assert client.post("/v1/jobs", json=request(rows, **changes)).status_code == 404


def test_a_result_names_the_model_and_the_differences(client: TestClient, rows: Rows, other_tenant: Tenant) -> None:
    job_id, model_id = rows.finetuned_job()
    response = client.get(f"/v1/jobs/{job_id}/result")
    found = response.json()
    assert (found["kind"], found["job"], found["model"]) == ("finetune", job_id, model_id)
    assert found["words"] == [found["differences"]["iis"]["treatment_minus_control"]["sentence"]]
    assert [run["seed"] for run in found["treatment"]] == [0]
    assert "immutable" in response.headers["cache-control"]
    model = client.get(found["links"]["model"]).json()
    assert model["lineage"] == {
        "job": job_id,
        "parent": client.get(f"/v1/jobs/{job_id}").json()["model"],
        "seed": 1,
        "epoch": 2,
        "weight": 1.0,
    }
    assert client.get(model["links"]["parent"]).json()["lineage"] is None
    for path in found["links"].values():
        assert client.get(path).status_code == 200, path
        assert client.get(path, headers=other_tenant.headers).status_code == 404, path


def test_the_checkpoint_is_downloaded_unchanged_with_a_filename_and_an_etag(client: TestClient, rows: Rows) -> None:
    _, model_id = rows.finetuned_job()
    response = client.get(f"/v1/models/{model_id}/checkpoint")
    assert (response.status_code, response.content) == (200, b"the weights of a network")
    assert response.headers["etag"] == f'"{sha256(response.content).hexdigest()}"'
    assert f'filename="{model_id}.safetensors"' in response.headers["content-disposition"]
    again = client.get(f"/v1/models/{model_id}/checkpoint", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.delete(f"/v1/models/{model_id}").status_code == 204
    assert client.get(f"/v1/models/{model_id}/checkpoint").status_code == 404


def test_a_pretrained_model_has_no_checkpoint_to_download(client: TestClient, rows: Rows) -> None:
    response = client.get(f"/v1/models/{rows.model(pretrained='a1_in1k')}/checkpoint")
    assert (response.status_code, response.json()["code"]) == (409, "no_checkpoint")
    assert "takes its weights by name (timm:resnet18, a1_in1k)" in response.json()["detail"]


def test_an_untrained_model_has_no_checkpoint_to_download(client: TestClient, rows: Rows) -> None:
    response = client.get(f"/v1/models/{rows.model(initial_seed=7)}/checkpoint")
    assert (response.status_code, response.json()["code"]) == (409, "no_checkpoint")
    assert "is untrained (timm:resnet18, initialised from seed 7)" in response.json()["detail"]


def test_a_fine_tuning_job_has_neither_curves_nor_explanations(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.finetuned_job()
    for what in ("curves", "plots", "rows", "classes"):
        response = client.get(f"/v1/jobs/{job_id}/{what}")
        assert (response.status_code, response.json()["code"]) == (409, "other_kind"), what
        assert "of kind finetune" in response.json()["detail"]
    response = client.post("/v1/jobs", json={"kind": "explain", "job": job_id, "split": "test"})
    assert (response.status_code, response.json()["code"]) == (409, "other_kind")


def test_epochs_are_events_of_the_job(client: TestClient, rows: Rows) -> None:
    job_id = rows.finetune_job()
    token = rows.claim(job_id)
    rows.event(job_id, token, "epoch", arm="control", seed=1, epoch=1, loss=0.5)
    (event,) = [one for one in client.get(f"/v1/jobs/{job_id}/events").json()["data"] if one["type"] == "epoch"]
    assert event["data"] == {"arm": "control", "seed": 1, "epoch": 1, "loss": 0.5}
