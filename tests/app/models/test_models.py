"""Models over HTTP: accepted and refused requests, checks and deletion."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from app.db.models import Job, Model
from app.db.session import SessionFactory
from app.db.transitions import claim, succeed
from support.rows import Rows
from support.tenants import Tenant


@pytest.fixture
def upload(client: TestClient) -> str:
    return client.post("/v1/uploads/small", files={"file": ("net.safetensors", b"weights")}).json()["id"]


def make_ready(sessions: SessionFactory, model_id: str) -> None:
    """Write the outcome of a successful check, as a worker does."""
    with sessions.begin() as session:
        job_id = session.scalar(select(Job.id).where(Job.model_id == model_id, Job.kind == "check_model"))
        assert job_id is not None
        token = claim(session, job_id, "a worker", 60)
        assert token is not None
        succeed(session, job_id, token)
        session.execute(
            update(Model)
            .where(Model.id == model_id)
            .values(state="ready", digest="d", info={"num_features": 512}, checked_at=datetime.now(UTC))
        )


def test_a_model_is_pending_with_its_check_queued_in_the_same_commit(client: TestClient, sessions: SessionFactory, upload: str) -> None:
    created = client.post(
        "/v1/models",
        json={
            "architecture": "timm:resnet18",
            "arguments": {"num_classes": 10, "pad_type": "same"},
            "upload": upload,
            "layer": "layer4",
            "preprocessing": {"input_size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "crop_pct": 1.0},
        },
        headers={"X-Request-Id": "asked-by-a-test"},
    )
    assert created.status_code == 201
    body = created.json()
    assert created.headers["Location"] == f"/v1/models/{body['id']}"
    assert created.headers["Retry-After"]
    assert (body["state"], body["name"], body["upload"]) == ("pending", "net.safetensors", upload)
    assert body["preprocessing"] == {"input_size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    with sessions() as session:
        job = session.scalars(select(Job).where(Job.model_id == body["id"])).one()
        assert (job.kind, job.state, job.spec, job.request_id) == ("check_model", "queued", {"model": body["id"]}, "asked-by-a-test")
    assert job.id not in client.get("/v1/jobs").text


def test_onnx_is_a_file_and_pretrained_a_tag(client: TestClient, upload: str) -> None:
    assert client.post("/v1/models", json={"architecture": "onnx", "upload": upload}).status_code == 201
    tagged = client.post("/v1/models", json={"architecture": "open_clip:ViT-B-32", "pretrained": "laion2b_s34b_b79k"})
    assert (tagged.status_code, tagged.json()["name"]) == (201, "open_clip:ViT-B-32")


def test_the_same_content_with_the_same_settings_is_one_model(client: TestClient, sessions: SessionFactory, upload: str) -> None:
    body = {"architecture": "timm:resnet18", "arguments": {"num_classes": 10}, "upload": upload, "preprocessing": {"input_size": 32}}
    first = client.post("/v1/models", json={**body, "name": "first", "tags": ["a"]})
    again = client.post("/v1/models", json={**body, "name": "second"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json(), "unchanged"
    assert again.headers["Location"] == first.headers["Location"]
    with sessions() as session:
        assert len(session.scalars(select(Job).where(Job.model_id == first.json()["id"])).all()) == 1, "checked once"
    other = client.post("/v1/uploads/small", files={"file": ("other.safetensors", b"other weights")}).json()["id"]
    different = (
        {"upload": other},
        {"arguments": {"num_classes": 11}},
        {"arguments": {"num_classes": True}},
        {"preprocessing": {"input_size": 64}},
        {"layer": "layer4"},
        {"layer": "layer4", "pooling": "all"},
        {"architecture": "timm:resnet34"},
        {"weights_of": "a1_in1k"},
    )
    made = [client.post("/v1/models", json={**body, **change}) for change in different]
    assert [one.status_code for one in made] == [201] * len(different)
    assert len({one.json()["id"] for one in made}) == len(different)


def test_the_same_file_uploaded_twice_is_the_same_content(client: TestClient, rows: Rows) -> None:
    uploads = [rows.upload(b"the same weights", name) for name in ("a.safetensors", "b.safetensors")]
    answers = [client.post("/v1/models", json={"architecture": "timm:resnet18", "upload": upload}) for upload in uploads]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[1].json()["upload"] == uploads[0]


def test_a_failed_or_deleted_model_is_registered_anew(client: TestClient, rows: Rows, other_tenant: Tenant) -> None:
    body = {"architecture": "timm:resnet18", "initial_seed": 3}
    rows.model("failed", initial_seed=3)
    made = client.post("/v1/models", json=body)
    assert made.status_code == 201
    assert client.post("/v1/models", json=body, headers=other_tenant.headers).status_code == 201
    assert client.delete(made.json()["links"]["self"]).status_code == 204
    assert client.post("/v1/models", json=body).status_code == 201


def test_equal_registrations_at_once_make_one_model(client: TestClient) -> None:
    def register(_: int) -> tuple[int, str]:
        answer = client.post("/v1/models", json={"architecture": "timm:resnet18"})
        return answer.status_code, answer.json()["id"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(register, range(8)))
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({model for _, model in answers}) == 1


def test_without_weights_a_model_has_the_default_ones_of_its_library(client: TestClient) -> None:
    model = client.post("/v1/models", json={"architecture": "timm:resnet18"}).json()
    assert (model["name"], model["pretrained"], model["upload"]) == ("timm:resnet18", "default", None)


def test_the_origin_of_an_upload_and_its_whole_preprocessing_are_stored(client: TestClient, sessions: SessionFactory, upload: str) -> None:
    preprocessing = {"input_size": [128, 256], "crop_mode": "squash", "channel_order": "bgr", "value_range": 255}
    body = {"architecture": "timm:vit_small_patch16_224", "upload": upload, "weights_of": "dino", "layer": "norm", "pooling": "class"}
    created = client.post("/v1/models", json={**body, "preprocessing": preprocessing}).json()
    assert {name: created[name] for name in body} == body
    assert created["preprocessing"] == preprocessing
    with sessions() as session:
        row = session.get_one(Model, created["id"])
        assert (row.weights_of, row.pooling, row.preprocessing) == ("dino", "class", preprocessing)


def test_an_untrained_model_needs_no_file(client: TestClient) -> None:
    model = client.post("/v1/models", json={"architecture": "timm:resnet18", "initial_seed": 3}).json()
    assert (model["name"], model["initial_seed"], model["upload"]) == ("timm:resnet18, untrained (seed 3)", 3, None)


def test_a_vision_language_model_is_one_checkpoint_or_a_pair_of_files(client: TestClient, sessions: SessionFactory, upload: str) -> None:
    single = client.post("/v1/models", json={"role": "vlm", "architecture": "open_clip:ViT-B-16", "upload": upload}).json()
    assert (single["role"], single["text_upload"], single["tokenizer"]) == ("vlm", None, None)
    text_tower = client.post("/v1/uploads/small", files={"file": ("text.onnx", b"text tower")}).json()["id"]
    body = {"role": "vlm", "architecture": "onnx", "upload": upload, "text_upload": text_tower, "tokenizer": "ViT-B-16-SigLIP"}
    created = client.post("/v1/models", json=body)
    assert created.status_code == 201, created.text
    pair = client.get(created.headers["Location"]).json()
    assert {name: pair[name] for name in body} == body
    assert pair["links"]["text_upload"] == f"/v1/uploads/{text_tower}"
    with sessions() as session:
        row = session.get_one(Model, pair["id"])
        assert (row.role, row.text_upload_id, row.tokenizer, row.state) == ("vlm", text_tower, "ViT-B-16-SigLIP", "pending")
        assert session.scalars(select(Job.kind).where(Job.model_id == pair["id"])).all() == ["check_model"]


def test_a_text_tower_is_a_complete_upload(client: TestClient, upload: str) -> None:
    opened = client.post("/v1/uploads", json={"filename": "n", "size_bytes": 3, "sha256": "0" * 64}).json()["id"]
    refused = client.post("/v1/models", json={"role": "vlm", "architecture": "onnx", "upload": upload, "text_upload": opened})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (409, "text_upload")


VLM = {"role": "vlm", "architecture": "open_clip:ViT-B-16", "pretrained": "x"}
PAIR = {"role": "vlm", "architecture": "onnx", "upload": "upl_x", "text_upload": "upl_y"}


@pytest.mark.parametrize(
    ("request_body", "words"),
    [
        ({**VLM, "architecture": "timm:resnet18"}, "open_clip:NAME, or onnx with one file for images"),
        ({**VLM, "architecture": "torchvision:resnet18"}, "open_clip:NAME, or onnx"),
        ({**VLM, "layer": "visual"}, "leave layer out"),
        ({**VLM, "text_upload": "upl_y"}, "Only an onnx model of role vlm"),
        ({**VLM, "tokenizer": "ViT-B-16"}, "Only an onnx model of role vlm"),
        ({**PAIR, "role": "backbone"}, "Only an onnx model of role vlm"),
        ({**PAIR, "text_upload": None}, "name the text tower's in text_upload"),
        ({**PAIR, "upload": None}, "A model of onnx is a file"),
        ({**PAIR, "arguments": {"a": 1}}, "leave arguments out"),
        ({**PAIR, "tokenizer": "hf-hub:someone/net"}, "pattern"),
        ({**VLM, "role": "oracle"}, "'backbone' or 'vlm'"),
        ({"architecture": "keras:resnet", "pretrained": "x"}, "open_clip:NAME, hf:ORG/NAME, transformers, onnx"),
        ({"architecture": "resnet18", "pretrained": "x"}, "is not a known architecture"),
        ({"architecture": "timm:", "pretrained": "x"}, "plain name"),
        ({"architecture": "timm:hf-hub:net"}, "Write a repository of the Hub as ORG/NAME"),
        ({"architecture": "hf:someone/../net"}, "Write a repository of the Hub as ORG/NAME"),
        ({"architecture": "hf:someone/net", "upload": "upl_x"}, "has its weights on the Hub"),
        ({"architecture": "timm:hf-hub:someone/net", "initial_seed": 0}, "has its weights on the Hub"),
        ({"architecture": "hf:someone/net", "arguments": {"a": 1}}, "leave arguments out"),
        ({"architecture": "open_clip:local-dir:/etc", "pretrained": "x"}, "plain name"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "upload": "upl_x"}, "at most one of upload"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "initial_seed": 0}, "at most one of upload"),
        ({"architecture": "onnx", "initial_seed": 0}, "A model of onnx is a file"),
        ({"architecture": "transformers", "pretrained": "x"}, "A model of transformers is a file"),
        ({"architecture": "transformers:vit", "upload": "upl_x"}, "Write transformers alone"),
        ({"architecture": "transformers", "upload": "upl_x", "weights_of": "x"}, "weights_of names"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "weights_of": "y"}, "weights_of names"),
        ({"architecture": "timm:resnet18", "upload": "upl_x", "pooling": "class"}, "pooling applies to a named layer"),
        ({"architecture": "timm:resnet18", "upload": "upl_x", "layer": "a", "pooling": "max"}, "'class', 'patches', 'all' or 'map'"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "preprocessing": {"value_range": 2}}, "1 or 255"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "preprocessing": {"input_size": [8, 4]}}, "greater than or equal to 8"),
        ({"architecture": "open_clip:ViT-B-16", "role": "vlm", "initial_seed": 0}, "needs trained weights"),
        ({"architecture": "timm:resnet18", "initial_seed": -1}, "greater than or equal to 0"),
        ({"architecture": "onnx", "pretrained": "x"}, "upload it"),
        ({"architecture": "onnx", "upload": "upl_x", "arguments": {"a": 1}}, "leave arguments out"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "preprocessing": {"std": [1, 0, 1]}}, "above 0"),
        ({"architecture": "timm:resnet18", "pretrained": "x", "preprocessing": {"crop": 1}}, "Extra inputs"),
        ({"architecture": "timm:resnet18", "pretrained": "../x"}, "pattern"),
    ],
)
def test_an_invalid_model_is_refused_with_a_reason(client: TestClient, request_body: dict[str, Any], words: str) -> None:
    refused = client.post("/v1/models", json=request_body)
    assert refused.status_code == 422
    assert words in refused.json()["detail"]


def test_a_model_needs_a_complete_upload_of_its_owner(client: TestClient, other_tenant: Tenant) -> None:
    body = {"filename": "n", "size_bytes": 3, "sha256": "0" * 64}
    opened = client.post("/v1/uploads", json=body).json()["id"]
    refused = client.post("/v1/models", json={"architecture": "timm:resnet18", "upload": opened})
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_open")
    foreign = client.post("/v1/models", json={"architecture": "timm:resnet18", "upload": opened}, headers=other_tenant.headers)
    assert foreign.status_code == 404


def test_pretrained_weights_can_be_disabled(client: TestClient, app: FastAPI) -> None:
    app.state.settings.allow_hub = False
    refused = client.post("/v1/models", json={"architecture": "timm:resnet18", "pretrained": "a1_in1k"})
    assert (refused.status_code, refused.json()["code"]) == (422, "hub_not_allowed")


def test_a_wait_ends_when_the_check_ends(live: httpx.Client, sessions: SessionFactory) -> None:
    upload = live.post("/v1/uploads/small", files={"file": ("net.safetensors", b"weights")}).json()["id"]
    at = live.post("/v1/models", json={"architecture": "timm:resnet18", "upload": upload}).json()["links"]["self"]
    pending = live.get(at, headers={"Prefer": "wait=0"})
    assert (pending.json()["state"], "Retry-After" in pending.headers) == ("pending", True)
    soon = threading.Timer(0.3, make_ready, (sessions, at.rpartition("/")[2]))
    soon.start()
    ready = live.get(at, headers={"Prefer": "wait=20"})
    soon.join()
    assert (ready.json()["state"], ready.json()["info"], "Retry-After" in ready.headers) == ("ready", {"num_features": 512}, False)
    assert live.get(at, headers={"If-None-Match": ready.headers["ETag"]}).status_code == 304
    assert live.get(at, headers={"If-None-Match": pending.headers["ETag"]}).status_code == 200


def test_a_model_needed_by_an_unfinished_job_cannot_be_deleted(
    client: TestClient, rows: Rows, sessions: SessionFactory, upload: str
) -> None:
    created = client.post("/v1/models", json={"architecture": "timm:resnet18", "upload": upload}).json()
    at = created["links"]["self"]
    make_ready(sessions, created["id"])
    job_id = rows.job(model=created["id"])
    refused = client.delete(at)
    assert refused.status_code == 409
    assert job_id in refused.json()["detail"]
    rows.succeed(job_id, rows.claim(job_id))
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404
    assert created["id"] not in client.get("/v1/models").text
    assert client.get(f"/v1/jobs/{job_id}").json()["model"] == created["id"]


def test_a_vision_language_model_needed_by_an_unfinished_job_cannot_be_deleted(client: TestClient, rows: Rows) -> None:
    vlm = rows.vlm()
    job_id = rows.job(vlm_id=vlm)
    refused = client.delete(f"/v1/models/{vlm}")
    assert (refused.status_code, refused.json()["code"]) == (409, "model_in_use")
    assert job_id in refused.json()["detail"]
    rows.cancel(job_id)
    assert client.delete(f"/v1/models/{vlm}").status_code == 204


def test_models_are_paged_newest_first(client: TestClient, rows: Rows) -> None:
    made = [rows.model() for _ in range(5)]
    seen: list[str] = []
    at = "/v1/models?limit=2"
    while at:
        page = client.get(at).json()
        assert len(page["data"]) <= 2
        seen += [model["id"] for model in page["data"]]
        assert page["has_more"] == ("next" in page["links"])
        at = page["links"].get("next", "")
    assert seen == sorted(made, reverse=True)
    assert client.get("/v1/models?limit=101").status_code == 422
