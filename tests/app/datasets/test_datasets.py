"""Data sets over HTTP: uploads, Hub data sets, and the server folders that may be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.db.models import Job
from app.db.session import SessionFactory
from support.rows import Rows


def test_a_data_set_is_pending_with_its_check_queued_in_the_same_commit(client: TestClient, sessions: SessionFactory) -> None:
    upload = client.post("/v1/uploads/small", files={"file": ("digits.zip", b"an archive")}).json()["id"]
    created = client.post("/v1/datasets", json={"upload": upload, "split_seed": 3, "test_share": 0.25})
    assert created.status_code == 201
    body = created.json()
    assert created.headers["Location"] == body["links"]["self"] == f"/v1/datasets/{body['id']}"
    assert (body["state"], body["kind"], body["name"], body["split_seed"], body["test_share"]) == (
        "pending",
        "images",
        "digits.zip",
        3,
        0.25,
    )
    with sessions() as session:
        job = session.scalars(select(Job).where(Job.dataset_id == body["id"])).one()
        assert (job.kind, job.state, job.spec) == ("check_dataset", "queued", {"dataset": body["id"]})


def test_deleting_a_pending_data_set_cancels_its_validation(client: TestClient, sessions: SessionFactory, rows: Rows) -> None:
    upload = client.post("/v1/uploads/small", files={"file": ("digits.zip", b"an archive")}).json()["id"]

    def state_of(dataset: str) -> str:
        with sessions() as session:
            return session.scalars(select(Job.state).where(Job.dataset_id == dataset)).one()

    queued, running = (client.post("/v1/datasets", json={"upload": upload, "split_seed": seed}).json()["id"] for seed in range(2))
    with sessions() as session:
        job_id = session.scalars(select(Job.id).where(Job.dataset_id == running)).one()
    rows.claim(job_id)
    assert [client.delete(f"/v1/datasets/{one}").status_code for one in (queued, running)] == [204, 204]
    assert [state_of(queued), state_of(running)] == ["canceled", "canceling"]
    assert [client.get(f"/v1/datasets/{one}").status_code for one in (queued, running)] == [404, 404]
    assert client.get("/v1/quotas").json()["pending_validations"]["used"] == 1  # until the worker has stopped it


def test_the_same_content_with_the_same_settings_is_one_data_set(client: TestClient, rows: Rows) -> None:
    images = [rows.upload(b"the same images", name) for name in ("a.zip", "b.zip")]
    tables = [rows.upload(b"the same table", name) for name in ("a.csv", "b.csv")]
    first = client.post("/v1/datasets", json={"upload": images[0], "manifest": {"upload": tables[0]}})
    again = client.post("/v1/datasets", json={"upload": images[1], "manifest": {"upload": tables[1]}, "name": "another name"})
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    hub = {"hub": {"name": "a/b", "revision": "c"}}
    assert [client.post("/v1/datasets", json=hub).status_code for _ in range(2)] == [201, 200]
    for change in (
        {"upload": images[0]},
        {"upload": images[0], "test_share": 0.3},
        {"upload": images[0], "split_seed": 1},
        {"upload": images[0], "kind": "features"},
        {"upload": images[0], "manifest": {"upload": tables[0], "label_column": "breed"}},
        {"upload": tables[0]},
        {"hub": {"name": "a/b", "revision": "d"}},
    ):
        assert client.post("/v1/datasets", json=change).status_code == 201, change


def test_a_server_folder_is_another_data_set_each_time_since_its_content_may_change(
    client: TestClient, app: FastAPI, tmp_path: Path
) -> None:
    app.state.settings.server_dataset_folders = [tmp_path]
    (tmp_path / "digits").mkdir()
    assert [client.post("/v1/datasets", json={"server_path": str(tmp_path / "digits")}).status_code for _ in range(2)] == [201, 201]


def test_a_server_folder_is_accepted_only_within_the_allowed_folders(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "allowed-not"
    (allowed / "digits").mkdir(parents=True)
    secret.mkdir()
    (allowed / "way-out").symlink_to(secret)
    (allowed / "loop").symlink_to(allowed / "loop")
    assert client.post("/v1/datasets", json={"server_path": str(allowed / "digits")}).status_code == 422
    app.state.settings.server_dataset_folders = [allowed]
    accepted = client.post("/v1/datasets", json={"server_path": str(allowed / "digits")})
    assert (accepted.status_code, accepted.json()["name"], accepted.json()["server_path"]) == (201, "digits", str(allowed / "digits"))
    outside = [secret, allowed / "way-out", allowed / ".." / "allowed-not", tmp_path, "/etc", "/does/not/exist", "digits", "digits\0"]
    for path in outside:
        refused = client.post("/v1/datasets", json={"server_path": str(path)})
        assert (refused.status_code, refused.json()["code"]) == (422, "server_path_not_allowed"), path
    assert client.post("/v1/datasets", json={"server_path": str(allowed / "loop")}).status_code in {201, 422}


def test_a_server_path_is_stored_as_given(client: TestClient, app: FastAPI, tmp_path: Path) -> None:
    (tmp_path / "allowed" / "digits").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "allowed" / "digits")
    app.state.settings.server_dataset_folders = [tmp_path / "allowed"]
    for given, name in ((f"{tmp_path}/allowed/digits/", "digits"), (f"{tmp_path}/link", "link")):
        accepted = client.post("/v1/datasets", json={"server_path": given})
        assert (accepted.status_code, accepted.json()["name"], accepted.json()["server_path"]) == (201, name, given)


def test_a_hub_data_set_is_stored_with_its_revision(client: TestClient, app: FastAPI) -> None:
    hub = {"name": "uoft-cs/cifar10", "revision": "0b2714987fa478483af9968de7c934580d0bb9a2", "image_column": "img"}
    created = client.post("/v1/datasets", json={"hub": hub})
    assert (created.status_code, created.json()["hub"], created.json()["name"]) == (201, hub, "uoft-cs/cifar10")
    app.state.settings.allow_hub = False
    refused = client.post("/v1/datasets", json={"hub": hub})
    assert (refused.status_code, refused.json()["code"]) == (422, "hub_not_allowed")


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"upload": "upl_x", "server_path": "/data"},
        {"kind": "features", "hub": {"name": "a/b", "revision": "c"}},
        {"kind": "audio", "upload": "upl_x"},
        {"upload": "upl_x", "test_share": 0},
        {"upload": "upl_x", "test_share": 1},
        {"upload": "upl_x", "split_seed": -1},
        {"hub": {"name": "a/b"}},
        {"hub": {"name": "../../etc", "revision": "c"}},
        {"upload": "upl_x", "manifest": {}},
        {"upload": "upl_x", "manifest": {"upload": "upl_y", "path": "a.csv"}},
        {"upload": "upl_x", "kind": "features", "manifest": {"path": "a.csv"}},
        {"hub": {"name": "a/b", "revision": "c"}, "manifest": {"path": "a.csv"}},
    ],
)
def test_an_invalid_data_set_is_refused(client: TestClient, request_body: dict[str, Any]) -> None:
    refused = client.post("/v1/datasets", json=request_body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")


def test_a_manifest_is_kept_with_the_data_set_and_its_upload_until_the_data_set_is_deleted(client: TestClient, rows: Rows) -> None:
    archive, table = rows.upload(b"an archive", "images.zip"), rows.upload(b"path,label", "labels.csv")
    manifest = {"upload": table, "label_column": "breed"}
    created = client.post("/v1/datasets", json={"upload": archive, "manifest": manifest}).json()
    assert created["manifest"] == manifest
    refused = client.delete(f"/v1/uploads/{table}")
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_in_use")
    missing = client.post("/v1/datasets", json={"upload": archive, "manifest": {"upload": "upl_other"}})
    assert missing.status_code == 404


def test_a_deleted_data_set_is_refused_in_new_jobs(client: TestClient, rows: Rows) -> None:
    dataset, model = rows.dataset(), rows.model()
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 204
    body = {"kind": "score", "model": model, "dataset": dataset, "library": {"kind": "random"}}
    assert client.post("/v1/jobs", json=body).status_code == 404


def test_lists_leave_out_what_grows_with_classes_and_files(client: TestClient, rows: Rows) -> None:
    names = [f"class {number}" for number in range(1000)]
    info = {"class_names": names, "train": 10, "counts": {"train": dict.fromkeys(names, 1)}, "corrupt": ["a"], "warnings": ["w"]}
    dataset = rows.dataset(info=info)
    pending = rows.dataset("pending")
    listed = {row["id"]: row for row in client.get("/v1/datasets").json()["data"]}
    assert listed[dataset]["info"] == {"train": 10}
    assert listed[pending]["info"] is None
    assert client.get(f"/v1/datasets/{dataset}").json()["info"]["class_names"] == names
