"""Studies of several layers of a model: each layer becomes a model, registered with the study or found by its settings."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.db.models import Job, Model
from app.db.session import SessionFactory
from support.rows import WEIGHTS, Rows

INFO = {"class_names": ["a", "b"], "counts": {"train": {"a": 6, "b": 6}, "test": {"a": 2, "b": 2}}}


def layered(rows: Rows, *layers: str, **fields: Any) -> dict[str, Any]:
    """Body of a study of layers of a new ready model."""
    model = rows.model(name="net", upload_id=rows.upload(WEIGHTS, "net.safetensors"), info={"num_features": 8})
    body = rows.study_request(models=[{"model": model, "layers": list(layers), **fields}], libraries=[{"kind": "cluster"}])
    return body | {"datasets": [rows.dataset(info=INFO)]}


def test_each_layer_becomes_a_model_of_the_same_weights_with_a_job(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    body = layered(rows, "layer1", "layer4", pooling="all")
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == 201, answer.text
    entries = answer.json()["grid"]["models"]
    assert [(entry["label"], entry["family"]) for entry in entries] == [("net at layer1", "net"), ("net at layer4", "net")]
    with sessions() as session:
        models = [session.get_one(Model, entry["model"]) for entry in entries]
        base = session.get_one(Model, body["models"][0]["model"])
        jobs = session.scalars(select(Job).where(Job.model_id.in_([model.id for model in models])).order_by(Job.id)).all()
    assert [(model.layer, model.pooling, model.state, model.name) for model in models] == [
        ("layer1", "all", "pending", "net at layer1"),
        ("layer4", "all", "pending", "net at layer4"),
    ]
    assert {(model.upload_id, model.architecture) for model in models} == {(base.upload_id, base.architecture)}
    assert sorted(job.kind for job in jobs) == ["check_model", "check_model", "score", "score"]

    again = client.post("/v1/studies", json=body).json()
    assert [entry["model"] for entry in again["grid"]["models"]] == [entry["model"] for entry in entries]
    grown = client.post(f"{again['links']['self']}/extend", json={"models": [body["models"][0] | {"layers": ["layer2"]}]}).json()
    assert [entry["label"] for entry in grown["grid"]["models"]] == ["net at layer1", "net at layer4", "net at layer2"]


def test_an_estimate_of_layers_registers_nothing_and_counts_one_pass(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    body = layered(rows, "layer1", "layer4", "layer3")
    estimate = client.post("/v1/studies/estimate", json=body).json()
    assert (estimate["jobs"], estimate["images"]) == (3, 16 + 12)  # 16 images, and each of the 12 training images as an element
    with sessions() as session:
        assert session.scalars(select(Model.id).where(Model.layer.is_not(None), Model.owner_id == rows.owner_id)).all() == []


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"layers": ["layer1", "layer1"]}, 422, "named twice"),
        ({"layers": []}, 422, "at least 1 item"),
        ({"layers": None, "pooling": "all"}, 422, "pooling applies to named layers"),
        ({"model": "mdl_missing"}, 404, "There is no model mdl_missing"),
    ],
)
def test_layers_that_make_no_sense_are_refused(client: TestClient, rows: Rows, change: dict[str, Any], status: int, sentence: str) -> None:
    body = layered(rows, "layer1")
    body["models"][0] |= change
    answer = client.post("/v1/studies", json=body)
    assert answer.status_code == status, answer.text
    assert sentence in answer.text


def test_a_vision_language_model_has_no_layers(client: TestClient, rows: Rows) -> None:
    body = rows.study_request(models=[{"model": rows.vlm(), "layers": ["visual.norm"]}])
    assert "has no layers to score" in client.post("/v1/studies", json=body).text
