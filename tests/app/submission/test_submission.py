"""Submission of jobs over HTTP: accepted and refused requests, and idempotency keys."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, text

from app.db.models import ConceptSet, Job, JobEvent, Model
from app.db.session import SessionFactory
from app.main import create_app
from app.settings import Settings
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from support.rows import Rows
from support.servers import WaitUntil
from support.tenants import Tenant


def test_a_submitted_job_is_committed_and_has_a_location(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    body = rows.request(seed=7, protocol="reference", deadline_seconds=90)
    response = client.post("/v1/jobs", json=body)
    assert response.status_code == 201, response.text
    job = response.json()
    assert response.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    assert response.headers["retry-after"].isdigit()
    assert (job["state"], job["attempt"], job["seed"], job["protocol"], job["deadline_seconds"]) == ("queued", 0, 7, "reference", 90)
    assert job["library"] == {"kind": "cluster", "concept_count": 50, "parts": []}
    found = {"result", "curves", "plots", "explanations", "classes", "concepts", "predictors"}
    assert set(job["links"]) == {"self", "events", "cancel"} | found
    with sessions() as session:
        row = session.get_one(Job, job["id"])
        assert (row.model_id, row.dataset_id, row.request_id) == (body["model"], body["dataset"], response.headers["x-request-id"])
        assert [e.data["state"] for e in session.scalars(select(JobEvent).where(JobEvent.job_id == row.id))] == ["queued"]


def test_an_accepted_job_sends_a_wake_up_message(client: TestClient, rows: Rows, redis_url: str) -> None:
    from redis import Redis

    with Redis.from_url(redis_url) as broker:
        broker.delete("iis")
        job_id = client.post("/v1/jobs", json=rows.request()).json()["id"]
        message = broker.rpop("iis")
    assert isinstance(message, bytes)
    assert job_id in json.loads(message)["headers"]["argsrepr"]


def test_a_job_is_accepted_while_the_broker_is_down(settings: Settings, tenant: Tenant, rows: Rows) -> None:
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    with TestClient(app, headers=tenant.headers) as client:
        started = time.monotonic()
        response = client.post("/v1/jobs", json=rows.request())
        assert response.status_code == 201
        assert time.monotonic() - started < 5
        assert client.get(response.headers["location"]).json()["state"] == "queued"


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ({"kind": "telepathy"}, ["telepathy", "prototype, cluster, end2end, nmf, sae, vectors, text, random, combined"]),
        ({"kind": "cluster", "concept_count": 1}, ["concept_count", "2"]),
        ({"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 1}, {"kind": "random"}]}, ["parts.0.concept_count", "2"]),
        ({"kind": "cluster", "concept_count": 20_001}, ["concept_count", "20000"]),
        ({"kind": "combined"}, ["two or more parts"]),
        ({"kind": "combined", "parts": [{"kind": "combined"}, {"kind": "random"}]}, ["cannot be combined itself"]),
        ({"kind": "combined", "parts": [{"kind": kind} for kind in ("random", "cluster", "cluster")]}, ["each kind once", "name cluster"]),
        ({"kind": "combined", "parts": [{"kind": "cluster", "concept_count": 20_000}, {"kind": "random"}]}, ["20200 concepts"]),
        ({"kind": "cluster", "parts": [{"kind": "random"}]}, ["Only a combined library has parts"]),
        ({}, ["kind of a library to fit or the id"]),
        ({"id": "lib_1", "kind": "cluster"}, ["not both"]),
        ({"id": "lib_1", "concept_count": 3}, ["used as it is"]),
        ({"kind": "cluster", "size": 3}, ["size"]),
        ({"kind": "cluster", "clip_cutoff": 0.2, "native": False}, ["Only a text library takes clip_cutoff, native"]),
        ({"kind": "combined", "native": True, "parts": [{"kind": "text"}, {"kind": "random"}]}, ["Only a text library takes native"]),
        ({"kind": "combined", "parts": [{"kind": "random", "clip_cutoff": 0}, {"kind": "text"}]}, ["Only a text library"]),
        ({"id": "lib_1", "interpretability_cutoff": 0.4}, ["Only a text library takes interpretability_cutoff"]),
        ({"kind": "text", "clip_cutoff": 1.1}, ["clip_cutoff", "less than or equal to 1"]),
        ({"kind": "text", "interpretability_cutoff": -1.1}, ["interpretability_cutoff", "-1"]),
    ],
)
def test_an_invalid_library_is_refused_with_a_reason(client: TestClient, rows: Rows, library: Any, words: list[str]) -> None:
    response = client.post("/v1/jobs", json=rows.request(library=library))
    assert response.status_code == 422
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    for word in words:
        assert word in problem["detail"]
    assert problem["errors"][0]["param"].startswith("library")


def test_the_concept_count_of_a_combined_library_is_the_sum_of_its_parts(client: TestClient, rows: Rows) -> None:
    parts = [{"kind": "cluster", "concept_count": 30}, {"kind": "prototype"}]
    job = client.post("/v1/jobs", json=rows.request(library={"kind": "combined", "parts": parts})).json()
    assert job["library"] == {"kind": "combined", "concept_count": 230, "parts": [parts[0], {"kind": "prototype", "concept_count": 200}]}


@pytest.mark.parametrize(
    "changes",
    [{"surprise": 1}, {"kind": "distill"}, {"protocol": "guess"}, {"seed": -1}, {"deadline_seconds": 0}, {"elements": {"kind": "pixels"}}],
)
def test_unknown_fields_and_values_are_refused(client: TestClient, rows: Rows, changes: dict[str, Any]) -> None:
    response = client.post("/v1/jobs", json=rows.request(**changes))
    assert response.status_code == 422
    assert response.json()["errors"][0]["param"].startswith(next(iter(changes)))


def test_a_library_can_be_cut_from_another_data_set(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    other = rows.dataset()
    job = client.post("/v1/jobs", json=rows.request(library_dataset=other)).json()
    assert job["library_dataset"] == other
    with sessions() as session:
        assert session.get_one(Job, job["id"]).library_dataset_id == other
    refused = client.delete(f"/v1/datasets/{other}")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_in_use")
    body = rows.request()
    assert client.post("/v1/jobs", json=body | {"library_dataset": body["dataset"]}).json()["library_dataset"] is None


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ({"id": "lib_1"}, "is cut already"),
        ({"kind": "random"}, "A random library is not cut from images"),
        ({"kind": "combined", "parts": [{"kind": "cluster"}, {"kind": "random"}]}, "A random library is not cut from images"),
    ],
)
def test_a_library_data_set_is_refused_for_libraries_not_cut_from_images(client: TestClient, rows: Rows, library: Any, words: str) -> None:
    response = client.post("/v1/jobs", json=rows.request(library=library, library_dataset=rows.dataset()))
    assert response.status_code == 422
    assert words in response.json()["detail"]


def test_a_library_data_set_is_refused_for_an_end2end_library_of_the_reference_protocol(client: TestClient, rows: Rows) -> None:
    asked = rows.request(library={"kind": "end2end"}, protocol="reference")
    refused = client.post("/v1/jobs", json=asked | {"library_dataset": rows.dataset()})
    assert refused.status_code == 422
    assert "trains an End2End library anew" in refused.json()["detail"]
    assert client.post("/v1/jobs", json=asked | {"library_dataset": asked["dataset"]}).status_code == 201


def test_a_library_data_set_must_be_ready_and_have_images(client: TestClient, rows: Rows) -> None:
    for dataset, status, code in (
        (rows.features(), 422, "images_needed"),
        (rows.dataset("pending"), 409, "library_dataset_pending"),
        ("dst_none", 404, "not_found"),
    ):
        response = client.post("/v1/jobs", json=rows.request(library_dataset=dataset))
        assert (response.status_code, response.json()["code"]) == (status, code)
    response = client.post("/v1/jobs", json=rows.request(dataset=rows.features(), model=None, library_dataset=rows.dataset()))
    assert response.json()["code"] == "images_needed"


TEXT_DEFAULTS = {"clip_cutoff": 0.25, "interpretability_cutoff": 0.45, "native": False}


def test_a_text_library_has_a_vlm_and_a_vocabulary(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    vlm, vocabulary = rows.vlm(), rows.concept_set("a loop", "a stroke")
    response = client.post("/v1/jobs", json=rows.request(library={"kind": "text"}, vlm=vlm, vocabulary=vocabulary))
    assert response.status_code == 201, response.text
    job = response.json()
    resolved = {"id": vocabulary, "version": 1, "digest": phrases_digest([Phrase("a loop"), Phrase("a stroke")])}
    assert (job["vlm"], job["vocabulary"]) == (vlm, resolved)
    assert job["library"] == {"kind": "text", "concept_count": 200, "parts": [], **TEXT_DEFAULTS}
    assert client.get(job["links"]["self"]).json()["vocabulary"] == resolved
    with sessions() as session:
        row = session.get_one(Job, job["id"])
        assert (row.vlm_id, row.concept_set_id) == (vlm, vocabulary)
        settings = {"library", "library_dataset", "elements", "protocol", "activations", "seed", "vlm", "vocabulary"}
        assert set(row.spec) == {"model", "dataset", *settings}
        assert (row.spec["vlm"], row.spec["vocabulary"], row.spec["library"]) == (vlm, resolved, job["library"])


def test_a_combined_library_keeps_the_options_of_its_text_part(client: TestClient, rows: Rows) -> None:
    parts = [{"kind": "text", "concept_count": 30, "clip_cutoff": -0.5, "native": True}, {"kind": "prototype", "concept_count": 20}]
    tower = rows.model(architecture="open_clip:ViT-B-16")
    body = rows.request(library={"kind": "combined", "parts": parts}, model=tower, vlm=rows.vlm(), vocabulary="birds")
    library = client.post("/v1/jobs", json=body).json()["library"]
    kept = {**TEXT_DEFAULTS, "kind": "text", "concept_count": 30, "clip_cutoff": -0.5, "native": True}
    assert library == {"kind": "combined", "concept_count": 50, "parts": [kept, parts[1]]}


@pytest.mark.parametrize(("model", "vlm"), [("open_clip:ViT-B-16", "open_clip:ViT-B-16"), ("onnx", "onnx")])
def test_a_native_library_of_a_matching_architecture_is_accepted(client: TestClient, rows: Rows, model: str, vlm: str) -> None:
    words = {"library": {"kind": "text", "native": True}, "vlm": rows.vlm(architecture=vlm), "vocabulary": "birds"}
    assert client.post("/v1/jobs", json=rows.request(model=rows.model(architecture=model), **words)).status_code == 201


@pytest.mark.parametrize("combined", [False, True])
@pytest.mark.parametrize("model", ["timm:resnet18", "open_clip:ViT-B-32", "onnx"])
def test_a_native_library_of_another_architecture_is_refused_with_a_suggestion(
    client: TestClient, rows: Rows, model: str, combined: bool
) -> None:
    def asked(**options: Any) -> dict[str, Any]:
        text_library = {"kind": "text", **options}
        return {"kind": "combined", "parts": [{"kind": "random"}, text_library]} if combined else text_library

    words = {"model": rows.model(architecture=model), "vlm": rows.vlm(), "vocabulary": "birds"}
    refused = client.post("/v1/jobs", json=rows.request(library=asked(native=True), **words))
    assert (refused.status_code, refused.json()["code"]) == (422, "library_not_native")
    assert refused.json()["errors"][0]["param"] == "library.native"
    for suggestion in (model, "open_clip:ViT-B-16", "register the vlm's own image tower as the model", "leave native out"):
        assert suggestion in refused.json()["detail"]
    assert client.post("/v1/jobs", json=rows.request(library=asked(), **words)).status_code == 201


def test_a_vocabulary_is_named_by_its_set_and_an_optional_version(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    own = rows.concept_set("a loop")
    rows.concept_set_version(own, 2, "a loop", "a stroke")
    meant = {"birds": ("birds", 1), "birds@1": ("birds", 1), own: (own, 2), f"{own}@1": (own, 1), f"{own}@2": (own, 2)}
    for named, expected in meant.items():
        job = client.post("/v1/jobs", json=rows.request(vlm=rows.vlm(), vocabulary=named)).json()
        assert (job["vocabulary"]["id"], job["vocabulary"]["version"]) == expected, named
        view = client.get(f"/v1/concept-sets/{expected[0]}/versions/{expected[1]}").json()
        assert job["vocabulary"]["digest"] == view["digest"]
        with sessions() as session:
            assert session.get_one(Job, job["id"]).concept_set_id == (own if expected[0] == own else None)
    for named in ("birds@2", f"{own}@3", "brids"):
        refused = client.post("/v1/jobs", json=rows.request(vlm=rows.vlm(), vocabulary=named))
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found"), named
    assert "broad, animals, birds" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"library": {"kind": "text"}}, "give vlm and vocabulary"),
        ({"library": {"kind": "text"}, "vlm": "mdl_1"}, "give vlm and vocabulary"),
        ({"library": {"kind": "combined", "parts": [{"kind": "text"}, {"kind": "random"}]}}, "give vlm and vocabulary"),
        ({"vlm": "mdl_1"}, "both vlm and vocabulary, or neither"),
        ({"vocabulary": "birds"}, "both vlm and vocabulary, or neither"),
        ({"library": {"kind": "random"}, "vlm": "mdl_1", "vocabulary": "birds"}, "A random library takes no names"),
        ({"library": {"id": "lib_1"}, "vlm": "mdl_1", "vocabulary": "birds"}, "used as it is; leave out vlm and vocabulary"),
        ({"vlm": "mdl_1", "vocabulary": "birds@0"}, "vocabulary"),
        ({"vlm": "mdl_1", "vocabulary": "birds@latest"}, "vocabulary"),
        ({"vlm": "mdl_1", "vocabulary": ""}, "vocabulary"),
    ],
)
def test_an_invalid_combination_of_library_vlm_and_vocabulary_is_refused(client: TestClient, rows: Rows, changes: Any, words: str) -> None:
    refused = client.post("/v1/jobs", json=rows.request(**changes))
    assert refused.status_code == 422
    assert words in refused.json()["detail"]


def test_a_text_library_needs_images_a_vlm_and_a_backbone(client: TestClient, rows: Rows) -> None:
    vlm, backbone, worded = rows.vlm(), rows.model(), {"library": {"kind": "text"}, "vocabulary": "birds"}

    def refusal(**changes: Any) -> tuple[int, str, str]:
        refused = client.post("/v1/jobs", json=rows.request(**changes))
        assert refused.json()["detail"].endswith(".")
        return refused.status_code, refused.json()["code"], refused.json()["errors"][0]["param"]

    assert refusal(**worded, vlm=vlm, model=None, dataset=rows.dataset(kind="features")) == (422, "images_needed", "dataset")
    assert refusal(**worded, vlm=backbone) == (422, "vlm_needed", "vlm")
    assert refusal(**worded, vlm=vlm, model=vlm) == (422, "backbone_needed", "model")
    assert refusal(model=vlm) == (422, "backbone_needed", "model")
    assert refusal(**worded, vlm=rows.vlm(state="pending")) == (409, "vlm_pending", "vlm")
    error = {"code": "architecture_mismatch", "message": "The towers disagree.", "param": None}
    assert refusal(**worded, vlm=rows.vlm(state="failed", error=error)) == (422, "vlm_failed", "vlm")


def test_a_pending_or_failed_vocabulary_is_refused(client: TestClient, rows: Rows) -> None:
    vlm, vocabulary = rows.vlm(), rows.concept_set("a loop")
    rows.concept_set_version(vocabulary, 2, "a stroke", state="pending")
    body = rows.request(library={"kind": "text"}, vlm=vlm, vocabulary=vocabulary)
    pending = client.post("/v1/jobs", json=body)
    assert (pending.status_code, pending.json()["code"]) == (409, "vocabulary_pending")
    assert pending.headers["retry-after"].isdigit()
    rows.concept_set_version(vocabulary, 3, "a stroke", state="failed", error={"code": "x", "message": "Nothing is left.", "param": None})
    failed = client.post("/v1/jobs", json=body)
    assert (failed.status_code, failed.json()["code"], failed.json()["errors"][0]["param"]) == (422, "vocabulary_failed", "vocabulary")
    assert "Version 3" in failed.json()["detail"]
    assert "Nothing is left." in failed.json()["detail"]
    assert client.post("/v1/jobs", json={**body, "vocabulary": f"{vocabulary}@1"}).status_code == 201


def test_a_job_is_refused_if_its_concept_set_is_deleted_concurrently(
    live: httpx.Client, rows: Rows, sessions: SessionFactory, wait_until: WaitUntil
) -> None:
    vocabulary = rows.concept_set()
    body = rows.request(vlm=rows.vlm(), vocabulary=vocabulary)
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM concept_sets%FOR SHARE'")

    def job_is_held_up() -> bool:
        with sessions() as session:
            return bool(session.scalar(blocked))

    with ThreadPoolExecutor(1) as pool, sessions() as deleting:
        concept_set = deleting.get_one(ConceptSet, vocabulary, with_for_update=True)
        answer = pool.submit(live.post, "/v1/jobs", json=body)
        wait_until(job_is_held_up, what="the job to be held up")
        concept_set.deleted_at = datetime.now(UTC)
        deleting.commit()
        assert answer.result(20).status_code == 404


def test_a_fitted_text_library_is_reused_without_vlm_and_vocabulary(client: TestClient, rows: Rows) -> None:
    body = rows.request(library={"kind": "text"}, vlm=rows.vlm(), vocabulary=rows.concept_set("a loop", "a striped tail"))
    job = client.post("/v1/jobs", json=body).json()
    library_id = rows.succeed(job["id"], rows.claim(job["id"]))
    at = f"/v1/concept-libraries/{library_id}"
    assert client.get(f"{at}/concepts").json()["data"][0]["details"]["similarity"] == 0.8
    assert client.get(f"{at}/dropped").json()["data"][0]["text"] == "a striped tail"
    accepted = client.post("/v1/jobs", json=rows.request(library={"id": library_id}, model=job["model"], dataset=job["dataset"]))
    assert (accepted.status_code, accepted.json()["vlm"], accepted.json()["vocabulary"]) == (201, None, None)


def test_a_body_over_the_limit_is_refused(client: TestClient, settings: Settings) -> None:
    response = client.post("/v1/jobs", content=b'{"kind": "' + b"x" * settings.request_body_max_bytes + b'"}')
    assert response.status_code == 413
    assert response.json()["code"] == "too_large"


def test_an_unsupported_method_is_a_405_problem(client: TestClient) -> None:
    response = client.put("/v1/jobs", json={})
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"
    assert "POST" in response.headers["allow"]


def test_a_pending_model_is_a_409_with_retry_after(client: TestClient, rows: Rows) -> None:
    response = client.post("/v1/jobs", json=rows.request(model=rows.model(state="pending")))
    assert (response.status_code, response.json()["code"]) == (409, "model_pending")
    assert response.headers["retry-after"].isdigit()


def test_a_failed_data_set_is_refused_with_its_error(client: TestClient, rows: Rows) -> None:
    error = {"code": "data_invalid", "message": "Class 7 has no test image.", "param": None}
    response = client.post("/v1/jobs", json=rows.request(dataset=rows.dataset(state="failed", error=error)))
    assert (response.status_code, response.json()["code"]) == (422, "dataset_failed")
    assert "Class 7 has no test image." in response.json()["detail"]


def test_feature_files_take_no_model_and_images_need_one(client: TestClient, rows: Rows) -> None:
    features = rows.dataset(kind="features")
    assert client.post("/v1/jobs", json=rows.request(dataset=features)).json()["code"] == "model_not_taken"
    assert client.post("/v1/jobs", json=rows.request(model=None)).json()["code"] == "model_needed"
    accepted = client.post("/v1/jobs", json=rows.request(dataset=features, model=None))
    assert accepted.status_code == 201
    assert accepted.json()["model"] is None


def test_a_fitted_library_is_refused_for_another_model(client: TestClient, rows: Rows) -> None:
    job_id, library_id = rows.succeeded_job()
    job = client.get(f"/v1/jobs/{job_id}").json()
    accepted = client.post("/v1/jobs", json=rows.request(library={"id": library_id}, model=job["model"], dataset=job["dataset"]))
    assert accepted.status_code == 201, accepted.text
    assert accepted.json()["library"] == {"id": library_id}
    refused = client.post("/v1/jobs", json=rows.request(library={"id": library_id}))
    assert (refused.status_code, refused.json()["code"]) == (422, "library_misfit")
    assert job["model"] in refused.json()["detail"]


@pytest.mark.parametrize("what", ["model", "dataset", "library"])
def test_another_owners_rows_are_a_404_in_a_new_job(client: TestClient, rows: Rows, other_rows: Rows, what: str) -> None:
    foreign = {"model": other_rows.model, "dataset": other_rows.dataset, "library": lambda: {"id": other_rows.succeeded_job()[1]}}
    response = client.post("/v1/jobs", json=rows.request(**{what: foreign[what]()}))
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_a_repeated_idempotency_key_gives_the_same_job_and_refuses_another_body(client: TestClient, rows: Rows) -> None:
    body, key = rows.request(), {"Idempotency-Key": "once"}
    first = client.post("/v1/jobs", json=body, headers=key)
    again = client.post("/v1/jobs", json=body, headers=key)
    assert (again.status_code, again.json(), again.headers["location"]) == (201, first.json(), first.headers["location"])
    other = client.post("/v1/jobs", json={**body, "seed": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(client.get("/v1/jobs").json()["data"]) == 1


def test_a_refused_request_can_be_corrected_under_the_same_key(client: TestClient, rows: Rows) -> None:
    key = {"Idempotency-Key": "corrected"}
    assert client.post("/v1/jobs", json=rows.request(seed=-1), headers=key).status_code == 422
    assert client.post("/v1/jobs", json=rows.request(), headers=key).status_code == 201


def test_a_key_with_a_request_in_flight_is_a_409(live: httpx.Client, rows: Rows, sessions: SessionFactory, wait_until: WaitUntil) -> None:
    body, key = rows.request(), {"Idempotency-Key": "in flight"}
    blocked = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM models%FOR SHARE'")

    def first_is_held_up() -> bool:
        with sessions() as session:
            return bool(session.scalar(blocked))

    with ThreadPoolExecutor(1) as pool, sessions() as holding:
        holding.execute(select(Model).where(Model.id == body["model"]).with_for_update())
        first = pool.submit(live.post, "/v1/jobs", json=body, headers=key)
        wait_until(first_is_held_up, what="the first request to be held up")
        second = live.post("/v1/jobs", json=body, headers=key)
        assert (second.status_code, second.json()["code"]) == (409, "idempotency_in_flight")
        assert second.headers["retry-after"].isdigit()
        holding.rollback()
        assert first.result(20).status_code == 201
    third = live.post("/v1/jobs", json=body, headers=key)
    assert (third.status_code, third.json()) == (201, first.result().json())


def test_a_model_of_an_unfinished_job_cannot_be_deleted(client: TestClient, rows: Rows) -> None:
    body = rows.request()
    job = client.post("/v1/jobs", json=body).json()
    assert client.delete(f"/v1/models/{body['model']}").status_code == 409
    client.post(job["links"]["cancel"])
    assert client.delete(f"/v1/models/{body['model']}").status_code == 204
    assert client.post("/v1/jobs", json=body).status_code == 404


def test_concurrent_posts_with_one_key_create_one_job(live: httpx.Client, rows: Rows) -> None:
    body = rows.request()
    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(live.post, "/v1/jobs", json=body, headers={"Idempotency-Key": "race"}) for _ in range(8)]
    answers = [post.result() for post in posts]
    assert {answer.status_code for answer in answers} <= {201, 409}
    made = [answer.json() for answer in answers if answer.status_code == 201]
    assert made
    assert all(answer.json()["code"] == "idempotency_in_flight" for answer in answers if answer.status_code == 409)
    assert len({job["id"] for job in made}) == len(live.get("/v1/jobs").json()["data"]) == 1
