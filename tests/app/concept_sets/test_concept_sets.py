"""Concept sets over HTTP: sources of phrases, dropped phrases, versions, file formats and deletion."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.concept_sets.files import FileFormat, write
from app.db.models import ConceptSetVersion, Job
from app.db.session import SessionFactory
from app.db.transitions import succeed
from app.errors import InvalidInput
from app.storage import ArtifactStore
from iis_engine.errors import LibraryError
from iis_engine.vocabularies.parsing import parse_csv, parse_json, parse_txt
from iis_engine.vocabularies.phrases import Phrase, phrases_digest
from iis_engine.vocabularies.shipped import shipped, shipped_names
from support.rows import Rows

AT = "/v1/concept-sets"
PARSERS = {"txt": parse_txt, "json": parse_json, "csv": parse_csv}


def upload(client: TestClient | httpx.Client, filename: str, content: bytes) -> str:
    return client.post("/v1/uploads/small", files={"file": (filename, content)}).json()["id"]


def walk(client: TestClient, at: str) -> Iterator[dict[str, Any]]:
    """The items of a list, page by page."""
    while at:
        page = client.get(at).json()
        yield from page["data"]
        at = page["links"].get("next", "")


def test_a_set_is_ready_at_once_and_lists_dropped_phrases_with_reasons(client: TestClient) -> None:
    phrases = [{"text": "a hooked bill", "group": "bills"}, "a barred tail", "The Hooked-Bills", "x" * 61]
    created = client.post(AT, json={"name": "garden birds", "description": "From the window.", "phrases": phrases})
    assert created.status_code == 201, created.text
    made = created.json()
    version = made.pop("version")
    assert created.headers["location"] == made["links"]["self"] == f"{AT}/{made['id']}"
    assert "retry-after" not in created.headers
    assert (made["name"], made["description"], made["origin"]) == ("garden birds", "From the window.", "uploaded")
    assert (made["latest_version"], made["versions"]) == (1, 1)
    assert (version["concept_set"], version["number"], version["state"], version["error"]) == (made["id"], 1, "ready", None)
    assert (version["phrase_count"], version["dropped_count"]) == (2, 2)
    assert version["dropped"] == [
        {"text": "The Hooked-Bills", "reason": "repeated", "other": "a hooked bill", "similarity": None},
        {"text": "x" * 61, "reason": "too_long", "other": None, "similarity": None},
    ]
    assert version["digest"] == phrases_digest([Phrase("a hooked bill", "bills"), Phrase("a barred tail")])
    assert client.get(made["links"]["self"]).json() == made
    assert client.get(made["links"]["latest"]).json() == version
    assert list(walk(client, version["links"]["phrases"])) == [
        {"text": "a hooked bill", "group": "bills"},
        {"text": "a barred tail", "group": None},
    ]
    assert list(walk(client, version["links"]["dropped"] + "?limit=1")) == version["dropped"]


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("strokes.txt", b"# strokes\na loop\n[ends]\na hook\n"),
        ("strokes.JSON", b'[{"text": "a loop"}, {"text": "a hook", "group": "ends"}]'),
        ("strokes.csv", b"group,phrase\n,a loop\nends,a hook\n"),
    ],
)
def test_a_file_is_parsed_by_its_suffix(client: TestClient, filename: str, content: bytes) -> None:
    made = client.post(AT, json={"upload": upload(client, filename, content)}).json()
    assert made["name"] == filename
    phrases = list(walk(client, made["version"]["links"]["phrases"]))
    assert phrases == [{"text": "a loop", "group": None}, {"text": "a hook", "group": "ends"}]


@pytest.mark.parametrize(
    ("filename", "content", "words"),
    [
        ("phrases.docx", b"a loop", ".txt, .json, .csv"),
        ("phrases", b"a loop", ".txt, .json, .csv"),
        ("phrases.txt", "ein Bögen".encode("latin-1"), "not UTF-8 text from line 1"),
        ("phrases.txt", b"\n \n", "contains no phrases"),
        ("phrases.txt", b"# only a remark\n", "contains no phrases"),
        ("phrases.txt", b"a loop\n" + b"x" * 10_000, "Line 2 has 10,000 characters"),
        ("phrases.txt", b"a\n" * 1_000_000, "more than the 20,000 phrases"),
        ("phrases.csv", b"phrase\n" + b"a\n" * 1_000_000, "more than the 20,000 phrases"),
        ("phrases.json", b"[" + b'"a",' * 999_999 + b'"a"]', "more than the 20,000 phrases"),
        ("phrases.json", b"[" * 100_000, "malformed"),
        ("phrases.json", b'{"colour": "red"}', "not a list"),
        ("phrases.csv", b"colour\nred\n", "a column phrase or text"),
        ("phrases.txt", b"x" * 61, "1 with more than 60 characters"),
    ],
)
def test_a_file_without_phrases_is_refused_quickly_with_a_reason(client: TestClient, filename: str, content: bytes, words: str) -> None:
    source = upload(client, filename, content)
    started = time.monotonic()
    refused = client.post(AT, json={"upload": source})
    assert time.monotonic() - started < 5
    assert refused.status_code == 422
    assert words in refused.json()["detail"]
    assert client.get(AT).json()["data"] == []


def test_a_file_over_the_limit_is_refused_without_reading_it(client: TestClient, store: ArtifactStore) -> None:
    content = b"a loop\n" * (9 * 2**20 // 7)
    source = upload(client, "phrases.txt", content)
    store.delete(client.get(f"/v1/uploads/{source}").json()["sha256"])
    refused = client.post(AT, json={"upload": source})
    assert (refused.status_code, refused.json()["code"]) == (422, "vocabulary_too_large")
    assert "9.0 MiB; a file of phrases may have 8.0" in refused.json()["detail"]


def test_an_open_upload_is_refused_as_a_source(client: TestClient) -> None:
    opened = client.post("/v1/uploads", json={"filename": "a.txt", "size_bytes": 3, "sha256": "0" * 64}).json()["id"]
    refused = client.post(AT, json={"upload": opened})
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_open")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "exactly one of phrases, upload and from_classes"),
        ({"phrases": ["a"], "upload": "upl_x"}, "exactly one of"),
        ({"phrases": []}, "contains no phrases"),
        ({"phrases": ["a loop", "  "], "name": ""}, "name"),
        ({"phrases": ["a loop", "x" * 10_000]}, "Entry 2 has 10,000 characters"),
        ({"phrases": [{"text": "a loop", "group": "g" * 201}]}, "Entry 1 has 201 characters"),
        ({"phrases": ["a\0loop"]}, "control character"),
        ({"phrases": [{"text": "a loop", "colour": "red"}]}, "colour"),
        ({"phrases": "a loop"}, "valid list"),
        ({"phrases": [7] * 20_000}, "phrases.0"),
        ({"phrases": [f"phrase {number}" for number in range(20_001)]}, "at most 20000"),
        ({"phrases": ["a"] * 1_000_000}, "at most 20000"),
        ({"phrases": ["x" * 61, "y" * 70]}, "2 with more than 60 characters"),
        ({"phrases": ["a loop"], "description": "no\0thing"}, "cannot be stored"),
    ],
)
def test_a_body_without_usable_phrases_is_refused_quickly_with_a_reason(client: TestClient, body: dict[str, Any], words: str) -> None:
    content = json.dumps(body)
    started = time.monotonic()
    refused = client.post(AT, content=content, headers={"Content-Type": "application/json"})
    assert time.monotonic() - started < 5
    assert refused.status_code == 422
    assert words in refused.json()["detail"]
    assert len(refused.json()["errors"]) <= 2
    assert client.get(AT).json()["data"] == []


def test_twenty_thousand_phrases_are_accepted_and_a_larger_body_is_refused(client: TestClient) -> None:
    phrases = [{"text": f"a shape with {number} corners and a long wavy outline", "group": "corners"} for number in range(20_000)]
    body = json.dumps({"phrases": phrases})
    assert len(body) > 1.5 * 2**20
    made = client.post(AT, content=body, headers={"Content-Type": "application/json"})
    assert made.status_code == 201, made.text[:1000]
    version = made.json()["version"]
    assert version["phrase_count"] == 20_000
    last = client.get(f"{version['links']['phrases']}?after=19998").json()
    assert (last["data"], last["has_more"]) == ([phrases[-1]], False)
    refused = client.post(AT, content=b'{"phrases": ["' + b"x" * 8 * 2**20 + b'"]}')
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")


def test_the_response_lists_every_dropped_phrase_and_the_view_a_hundred(client: TestClient) -> None:
    made = client.post(AT, json={"phrases": ["a loop"] * 151}).json()["version"]
    assert (made["dropped_count"], len(made["dropped"])) == (150, 150)
    view = client.get(made["links"]["self"]).json()
    assert (view["dropped_count"], len(view["dropped"])) == (150, 100)
    assert len(list(walk(client, made["links"]["dropped"] + "?limit=70"))) == 150


def test_phrases_that_contain_class_names_of_a_data_set_are_dropped(client: TestClient, rows: Rows) -> None:
    dataset = rows.dataset(info={"class_names": ["001.Black_footed_Albatross", "sparrow"]})
    phrases = ["sparrows in flight", "a black-footed albatross", "a hooked bill"]
    version = client.post(AT, json={"phrases": phrases, "dataset": dataset}).json()["version"]
    assert version["dataset"] == dataset
    assert [(one["reason"], one["other"]) for one in version["dropped"]] == [
        ("class_name", "sparrow"),
        ("class_name", "001.Black_footed_Albatross"),
    ]
    refused = client.post(AT, json={"phrases": phrases[:2], "dataset": dataset})
    assert (refused.status_code, refused.json()["code"]) == (422, "vocabulary_empty")
    assert "2 that hold a class name of the data set" in refused.json()["detail"]


def test_phrases_from_class_names_are_pending_until_a_worker_has_computed_them(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    dataset = rows.dataset(info={"class_names": ["sparrow", "oak"]})
    created = client.post(AT, json={"from_classes": dataset})
    assert created.status_code == 201, created.text
    assert created.headers["retry-after"]
    made = created.json()
    version = made["version"]
    assert (made["name"], version["dataset"]) == (f"from the classes of {dataset}", dataset)
    assert (version["state"], version["phrase_count"], version["digest"], version["checked_at"]) == ("pending", 0, None, None)
    job = check_of(sessions, made["id"])
    assert (job.state, job.spec) == ("queued", {"concept_set": made["id"], "version": 1, "from_classes": True})
    assert (job.dataset_id, job.vlm_id) == (dataset, None)
    refused = client.delete(f"/v1/datasets/{dataset}")
    assert (refused.status_code, made["id"] in refused.json()["detail"]) == (409, True)
    make_ready(sessions, rows, made["id"])
    assert [phrase["text"] for phrase in walk(client, version["links"]["phrases"])] == ["a loop"]


def test_phrases_from_the_classes_of_one_data_set_can_exclude_those_of_another(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    gathered_from, kept_away_from = (rows.dataset(info={"class_names": [name]}) for name in ("sparrow", "oak"))
    at = client.post(AT, json={"phrases": ["a loop"]}).json()["links"]["versions"]
    vlm = rows.vlm()
    made = client.post(at, json={"from_classes": gathered_from, "dataset": kept_away_from, "vlm": vlm}).json()
    assert (made["version"]["number"], made["version"]["state"], made["version"]["dataset"]) == (2, "pending", kept_away_from)
    job = check_of(sessions, made["id"])
    assert (job.spec["version"], job.dataset_id, job.vlm_id) == (2, gathered_from, vlm)


@pytest.mark.parametrize("field", ["dataset", "from_classes"])
def test_a_data_set_that_is_not_ready_is_refused(client: TestClient, rows: Rows, field: str) -> None:
    body = {"phrases": ["a loop"]} if field == "dataset" else {}
    pending = client.post(AT, json={**body, field: rows.dataset(state="pending")})
    assert (pending.status_code, pending.json()["code"]) == (409, f"{field}_pending")
    assert pending.headers["retry-after"]
    error = {"code": "data_invalid", "message": "Class 7 has no test image.", "param": None}
    failed = client.post(AT, json={**body, field: rows.dataset(state="failed", error=error)})
    assert (failed.status_code, failed.json()["errors"][0]["param"]) == (422, field)
    assert "Class 7 has no test image." in failed.json()["detail"]


def pending_set(client: TestClient | httpx.Client, rows: Rows) -> dict[str, Any]:
    """A set whose only version waits for its embeddings to be compared."""
    body = {"phrases": ["a loop", "Loops", "a ring"], "vlm": rows.vlm(), "dataset": rows.dataset(info={"class_names": ["zero"]})}
    created = client.post(AT, json=body)
    assert created.status_code == 201, created.text
    assert created.headers["retry-after"]
    return created.json()


def check_of(sessions: SessionFactory, set_id: str) -> Job:
    with sessions() as session:
        return session.scalars(select(Job).where(Job.concept_set_id == set_id, Job.kind == "check_concept_set")).one()


def make_ready(sessions: SessionFactory, rows: Rows, set_id: str) -> None:
    """Write the outcome of a successful check with one dropped phrase, as a worker does."""
    job_id = check_of(sessions, set_id).id
    token = rows.claim(job_id)
    with sessions.begin() as session:
        succeed(session, job_id, token)
        near = {"text": "a ring", "reason": "near_phrase", "other": "a loop", "similarity": 0.97}
        values = {"phrases": [["a loop", None]], "digest": phrases_digest([Phrase("a loop")]), "state": "ready"}
        session.execute(
            update(ConceptSetVersion)
            .where(ConceptSetVersion.concept_set_id == set_id)
            .values(**values, dropped=[near], checked_at=datetime.now(UTC))
        )


def test_with_a_vlm_a_version_is_pending_with_its_check_queued_in_the_same_commit(
    client: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    made = pending_set(client, rows)
    version = made["version"]
    assert (version["state"], version["digest"], version["checked_at"]) == ("pending", None, None)
    assert (version["phrase_count"], [one["text"] for one in version["dropped"]]) == (2, ["Loops"])
    job = check_of(sessions, made["id"])
    assert (job.state, job.spec) == ("queued", {"concept_set": made["id"], "version": 1, "from_classes": False})
    assert (job.vlm_id, job.dataset_id, job.model_id) == (version["vlm"], version["dataset"], None)
    assert job.id not in client.get("/v1/jobs").text
    for path in ("phrases", "download"):
        refused = client.get(version["links"][path])
        assert (refused.status_code, refused.json()["code"]) == (409, "version_pending")
        assert refused.headers["retry-after"]
    for at in (f"/v1/models/{version['vlm']}", f"/v1/datasets/{version['dataset']}"):
        refused = client.delete(at)
        assert (refused.status_code, refused.json()["code"].endswith("_in_use")) == (409, True)
        assert made["id"] in refused.json()["detail"]
        assert refused.headers["retry-after"]
    make_ready(sessions, rows, made["id"])
    assert [phrase["text"] for phrase in walk(client, version["links"]["phrases"])] == ["a loop"]
    assert client.get(version["links"]["self"]).json()["dropped"][0]["similarity"] == 0.97
    for at in (f"/v1/models/{version['vlm']}", f"/v1/datasets/{version['dataset']}"):
        assert client.delete(at).status_code == 204


def test_a_failed_check_fails_only_its_own_version(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    made = pending_set(client, rows)
    set_id = made["id"]
    rows.concept_set_version(set_id, 2, "a stroke", state="pending")
    job_id = check_of(sessions, set_id).id
    rows.fail(job_id, rows.claim(job_id), "Each phrase is near a class name.")
    failed = client.get(made["version"]["links"]["self"]).json()
    assert (failed["state"], failed["error"]["message"], failed["digest"]) == ("failed", "Each phrase is near a class name.", None)
    assert failed["checked_at"] is not None
    assert client.get(f"{AT}/{set_id}/versions/2").json()["state"] == "pending"
    refused = client.get(failed["links"]["phrases"])
    assert (refused.status_code, refused.json()["code"]) == (409, "version_failed")
    assert "Each phrase is near a class name." in refused.json()["detail"]
    assert client.get(failed["links"]["dropped"]).json()["data"][0]["text"] == "Loops"


def test_a_wait_ends_when_the_check_ends(live: httpx.Client, rows: Rows, sessions: SessionFactory) -> None:
    made = pending_set(live, rows)
    at = made["version"]["links"]["self"]
    assert "Retry-After" in live.get(at).headers
    soon = threading.Timer(0.3, make_ready, (sessions, rows, made["id"]))
    soon.start()
    ready = live.get(at, headers={"Prefer": "wait=20"})
    soon.join()
    assert (ready.json()["state"], ready.headers["Preference-Applied"], "Retry-After" in ready.headers) == ("ready", "wait=20", False)
    assert live.get(at, headers={"If-None-Match": ready.headers["ETag"]}).status_code == 304


def test_a_vision_language_model_that_is_not_ready_is_refused(client: TestClient, rows: Rows) -> None:
    error = {"code": "architecture_mismatch", "message": "The towers disagree.", "param": None}
    refusals = {rows.model(): "vlm_needed", rows.vlm(state="pending"): "vlm_pending", rows.vlm(state="failed", error=error): "vlm_failed"}
    for vlm, code in refusals.items():
        refused = client.post(AT, json={"phrases": ["a loop"], "vlm": vlm})
        assert refused.json()["code"] == code
        assert refused.json()["errors"][0]["param"] == "vlm"
    assert client.get(AT).json()["data"] == []


def test_a_new_version_does_not_change_earlier_ones(client: TestClient) -> None:
    made = client.post(AT, json={"phrases": ["a loop"]}).json()
    first = client.get(made["links"]["latest"]).json()
    for number, text in ((2, "a stroke"), (3, "a hook")):
        created = client.post(made["links"]["versions"], json={"phrases": [text]})
        assert created.status_code == 201
        assert (created.json()["latest_version"], created.json()["version"]["number"]) == (number, number)
        assert created.headers["location"] == created.json()["links"]["latest"] == f"{made['links']['versions']}/{number}"
    assert client.get(first["links"]["self"]).json() == first
    assert [version["number"] for version in walk(client, made["links"]["versions"] + "?limit=2")] == [3, 2, 1]
    assert client.get(made["links"]["self"]).json()["versions"] == 3
    assert client.get(f"{made['links']['versions']}/4").status_code == 404
    named_again = client.post(made["links"]["versions"], json={"phrases": ["a loop"], "name": "other"})
    assert (named_again.status_code, named_again.json()["errors"][0]["param"]) == (422, "name")


def test_concurrently_created_versions_have_different_numbers(live: httpx.Client) -> None:
    at = live.post(AT, json={"phrases": ["a loop"]}).json()["links"]["versions"]

    def post(number: int) -> httpx.Response:
        return live.post(at, json={"phrases": [f"{number} loops"]})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(post, range(2, 6)))
    assert {answer.status_code for answer in answers} == {201}
    assert sorted(answer.json()["version"]["number"] for answer in answers) == [2, 3, 4, 5]


def test_sets_are_paged_newest_first(client: TestClient, rows: Rows) -> None:
    made = [rows.concept_set() for _ in range(5)]
    rows.concept_set_version(made[1], 2, "a hook")
    listed = list(walk(client, f"{AT}?limit=2"))
    assert [one["id"] for one in listed] == sorted(made, reverse=True)
    assert [one["latest_version"] for one in listed] == [1, 1, 1, 2, 1]


def test_repeated_requests_with_one_idempotency_key_create_one_set(client: TestClient) -> None:
    key = {"Idempotency-Key": "once"}
    first, again = (client.post(AT, json={"phrases": ["a loop"]}, headers=key) for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    versions = [
        client.post(first.json()["links"]["versions"], json={"phrases": ["a hook"]}, headers={"Idempotency-Key": "v"}) for _ in "12"
    ]
    assert [version.json()["version"]["number"] for version in versions] == [2, 2]
    assert len(client.get(AT).json()["data"]) == 1


def test_shipped_sets_are_read_by_name_with_the_same_routes(client: TestClient) -> None:
    listed = client.get(f"{AT}/shipped").json()["data"]
    assert [one["id"] for one in listed] == list(shipped_names())
    assert {(one["origin"], one["latest_version"], one["versions"]) for one in listed} == {("shipped", 1, 1)}
    birds = client.get(f"{AT}/birds").json()
    assert birds == next(one for one in listed if one["id"] == "birds")
    assert birds["description"] == shipped("birds").description
    version = client.get(birds["links"]["latest"]).json()
    assert list(walk(client, birds["links"]["versions"])) == [version]
    assert (version["digest"], version["phrase_count"]) == (phrases_digest(shipped("birds").phrases), len(shipped("birds").phrases))
    phrases = [Phrase(**phrase) for phrase in walk(client, version["links"]["phrases"] + "?limit=100")]
    assert tuple(phrases) == shipped("birds").phrases
    assert client.get(version["links"]["dropped"]).json()["data"] == []
    assert client.get(f"{AT}/birds/versions/2").status_code == 404
    assert client.get(f"{AT}/birds/versions/2/phrases").status_code == 404
    assert client.get(AT).json()["data"] == []


def test_only_uploaded_versions_are_cached_as_immutable(client: TestClient, rows: Rows) -> None:
    own = rows.concept_set("a loop")
    for name, lasting in ((own, True), ("birds", False)):
        for path in ("phrases", "download"):
            at = f"{AT}/{name}/versions/1/{path}"
            found = client.get(at)
            assert ("immutable" in found.headers["cache-control"]) is lasting, at
            assert client.get(at, headers={"If-None-Match": found.headers["etag"]}).status_code == 304


def test_shipped_sets_are_read_only(client: TestClient) -> None:
    for refused in (client.delete(f"{AT}/birds"), client.post(f"{AT}/birds/versions", json={"phrases": ["a loop"]})):
        assert (refused.status_code, refused.json()["code"]) == (409, "concept_set_shipped")


@pytest.mark.parametrize(("file_format", "media_type"), [("txt", "text/plain"), ("json", "application/json"), ("csv", "text/csv")])
def test_a_downloaded_file_can_be_uploaded_again(client: TestClient, file_format: str, media_type: str) -> None:
    phrases = [{"text": 'a "quoted", long tail', "group": "tails"}, "größer, 大", {"text": "#tag", "group": "[odd]"}, "red eyes"]
    first = client.post(AT, json={"phrases": phrases, "name": "odd\nones"}).json()["version"]
    for version in (first, client.get(f"{AT}/birds/versions/1").json()):
        response = client.get(version["links"]["download"], params={"format": file_format})
        assert response.headers["content-type"].startswith(media_type)
        filename = f"{version['concept_set']}-{version['number']}.{file_format}"
        assert filename in response.headers["content-disposition"]
        again = client.post(AT, json={"upload": upload(client, filename, response.content)}).json()["version"]
        assert (again["digest"], again["dropped"]) == (version["digest"], [])
    etag = {"If-None-Match": response.headers["etag"]}
    assert client.get(version["links"]["download"], params={"format": file_format}, headers=etag).status_code == 304


def test_a_phrase_with_text_file_syntax_can_only_be_downloaded_as_csv_or_json(client: TestClient) -> None:
    for text in ("# tag", "[bracketed]"):
        at = client.post(AT, json={"phrases": [text]}).json()["version"]["links"]["download"]
        refused = client.get(at)
        assert (refused.status_code, refused.json()["errors"][0]["param"]) == (422, "format")
        assert parse_csv(client.get(f"{at}?format=csv").content) == parse_json(client.get(f"{at}?format=json").content) == (Phrase(text),)


def test_a_phrase_with_formula_syntax_is_text_in_a_spreadsheet(client: TestClient) -> None:
    at = client.post(AT, json={"phrases": ["@SUM(A1)"]}).json()["version"]["links"]["download"]
    content = client.get(f"{at}?format=csv").content
    assert content.splitlines()[1] == b"'@SUM(A1),"
    assert parse_csv(content) == parse_json(client.get(f"{at}?format=json").content)


@given(st.lists(st.tuples(st.text(max_size=12), st.none() | st.text(max_size=4)), max_size=6), st.sampled_from(["txt", "json", "csv"]))
@settings(deadline=None)
def test_phrases_round_trip_through_every_format(entries: list[tuple[str, str | None]], file_format: FileFormat) -> None:
    try:
        phrases = parse_json(json.dumps([{"text": text, "group": group} for text, group in entries]).encode())
    except LibraryError:
        return
    marked = any(phrase.text.startswith(("# ", "[")) for phrase in phrases)
    try:
        assert PARSERS[file_format](write(file_format, "a title", phrases)) == phrases
    except InvalidInput:
        assert (file_format, marked) == ("txt", True)


def test_a_set_needed_by_an_unfinished_job_cannot_be_deleted(client: TestClient, rows: Rows) -> None:
    set_id = rows.concept_set("a loop")
    body = rows.request(vlm=rows.vlm(), vocabulary=set_id)
    job = client.post("/v1/jobs", json=body).json()
    refused = client.delete(f"{AT}/{set_id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "concept_set_in_use")
    assert job["id"] in refused.json()["detail"]
    client.post(job["links"]["cancel"])
    assert client.delete(f"{AT}/{set_id}").status_code == 204
    for path in ("", "/versions", "/versions/1", "/versions/1/phrases", "/versions/1/dropped", "/versions/1/download"):
        assert client.get(f"{AT}/{set_id}{path}").status_code == 404, path
    assert client.post(f"{AT}/{set_id}/versions", json={"phrases": ["a hook"]}).status_code == 404
    assert client.get(AT).json()["data"] == []
    assert client.post("/v1/jobs", json=body).status_code == 404
    assert client.get(job["links"]["self"]).json()["vocabulary"]["id"] == set_id
