"""Names, notes, tags and metadata of every described resource: creation, PATCH, filters and order of lists."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from support.rows import Rows

DESCRIPTION: dict[str, Any] = {
    "name": "Baseline, seed 0",
    "notes": "first run\nafter the fix",
    "tags": ["baseline", "2026 Q1"],
    "metadata": {"team": "vision", "ticket": "IIS-7"},
}
Make = Callable[[], str]
PATHS = ("models", "datasets", "jobs", "studies", "concept-libraries")


@pytest.fixture
def makers(rows: Rows, client: TestClient) -> dict[str, Make]:
    """By resource: add one without a description; returns its path."""
    return {
        "models": lambda: f"/v1/models/{rows.model()}",
        "datasets": lambda: f"/v1/datasets/{rows.dataset()}",
        "jobs": lambda: f"/v1/jobs/{rows.job()}",
        "studies": lambda: client.post("/v1/studies", json=rows.study_request()).json()["links"]["self"],
        "concept-libraries": lambda: f"/v1/concept-libraries/{rows.succeeded_job()[1]}",
    }


def described(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in DESCRIPTION}


def listed(client: TestClient, path: str, **query: Any) -> list[str]:
    """Paths of the resources of a list, over pages of one."""
    found: list[str] = []
    page = client.get(path, params={"limit": 1, **query}).json()
    while True:
        found += [one["links"]["self"] for one in page["data"]]
        if not page["has_more"]:
            return found
        page = client.get(page["links"]["next"]).json()


@pytest.mark.parametrize("path", PATHS)
def test_a_description_is_changed_in_part_and_null_removes(client: TestClient, makers: dict[str, Make], path: str) -> None:
    at = makers[path]()
    assert described(client.get(at).json()) | {"name": ""} == {"name": "", "notes": None, "tags": [], "metadata": {}}
    changed = client.patch(at, json=DESCRIPTION)
    assert (changed.status_code, described(changed.json())) == (200, DESCRIPTION)
    client.patch(at, json={"metadata": {"ticket": None, "priority": "high"}, "tags": ["b", "b", "a"]})
    assert described(client.get(at).json()) == {
        **DESCRIPTION,
        "metadata": {"team": "vision", "priority": "high"},
        "tags": ["b", "a"],
    }
    client.patch(at, json={"notes": None, "tags": None, "metadata": None})
    assert described(client.get(at).json()) == {**DESCRIPTION, "notes": None, "tags": [], "metadata": {}}
    nameless = client.patch(at, json={"name": None})
    if path in ("jobs", "concept-libraries"):
        assert nameless.json()["name"] is None
    else:
        assert (nameless.status_code, nameless.json()["errors"][0]["param"]) == (422, "name")


@pytest.mark.parametrize("path", PATHS)
def test_lists_are_filtered_by_tags_metadata_and_a_part_of_the_name(client: TestClient, makers: dict[str, Make], path: str) -> None:
    first, second, third = (makers[path]() for _ in range(3))
    client.patch(first, json={"name": "Alpha_1", "tags": ["x", "y"], "metadata": {"team": "a:b"}})
    client.patch(second, json={"name": "alpha%2", "tags": ["y"], "metadata": {"team": "c"}})
    client.patch(third, json={"name": "beta"})
    at = f"/v1/{path}"
    assert listed(client, at, tag="y") == [second, first]
    assert listed(client, at, tag=["y", "x"]) == [first]
    assert listed(client, at, metadata="team:a:b") == [first]
    assert listed(client, at, metadata=["team:a:b", "team:c"]) == []
    assert listed(client, at, name_contains="ALPHA") == [second, first]
    assert listed(client, at, name_contains="a_1") == [first], "_ and % stand for themselves"
    assert listed(client, at, name_contains="%") == [second]
    assert listed(client, at, tag="y", name_contains="_1") == [first]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "jobs"])
def test_lists_are_sorted_by_name_without_regard_to_case(client: TestClient, makers: dict[str, Make], path: str) -> None:
    made = [makers[path]() for _ in range(4)]
    for at, name in zip(made, ("b", "A", "é", "a"), strict=True):
        client.patch(at, json={"name": name})
    at = f"/v1/{path}"
    ascending = listed(client, at, sort="name")
    assert ascending[:3] == [made[1], made[3], made[0]]
    assert set(ascending) == set(made)
    assert listed(client, at, sort="-name") == ascending[::-1]
    assert listed(client, at, sort="created_at") == made


def test_a_page_after_a_cursor_repeats_and_omits_nothing_while_rows_are_renamed_and_deleted(client: TestClient, rows: Rows) -> None:
    models = [rows.model(name=name) for name in ("a", "b", "c", "d")]
    page = client.get("/v1/models?sort=name&limit=2").json()
    assert [one["id"] for one in page["data"]] == models[:2]
    client.patch(f"/v1/models/{models[1]}", json={"name": "z"})
    client.delete(f"/v1/models/{models[0]}")
    rest = client.get(page["links"]["next"]).json()
    assert [one["name"] for one in rest["data"]] == ["c", "d"]


def test_a_cursor_of_another_order_is_refused(client: TestClient, rows: Rows) -> None:
    for name in ("a", "b"):
        rows.model(name=name)
    by_age = client.get("/v1/models?limit=1").json()["after"]
    deep = base64.urlsafe_b64encode(b"[" * 2970).decode().rstrip("=")
    for after in (by_age, "bm9uZQ", "WzEsIDJd", "_", deep):
        refused = client.get("/v1/models", params={"sort": "name", "after": after})
        assert (refused.status_code, refused.json()["errors"][0]["param"]) == (422, "after")


def test_a_default_name_has_at_most_200_characters_and_a_cursor_that_is_accepted(client: TestClient, rows: Rows) -> None:
    upload = rows.upload(b"content", "é" * 240 + ".zip")
    created = client.post("/v1/datasets", json={"kind": "images", "upload": upload})
    assert (created.status_code, created.json()["name"]) == (201, "é" * 200)
    rows.dataset(name="z")
    page = client.get("/v1/datasets?sort=name&limit=1").json()
    assert client.get("/v1/datasets", params={"sort": "name", "after": page["after"]}).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"tags": ["a,b"]},
        {"tags": [""]},
        {"tags": [str(number) for number in range(17)]},
        {"metadata": {f"key{number}": "x" for number in range(17)}},
        {"metadata": {"a key": "x"}},
        {"metadata": {"a": 1}},
        {"notes": "x" * 10_001},
        {"colour": "red"},
    ],
)
def test_a_description_out_of_bounds_is_refused(client: TestClient, rows: Rows, wrong: dict[str, Any]) -> None:
    refused = client.patch(f"/v1/models/{rows.model()}", json=wrong)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["param"].startswith(next(iter(wrong)))


def test_pairs_of_metadata_are_counted_after_the_change(client: TestClient, rows: Rows) -> None:
    at = f"/v1/models/{rows.model()}"
    assert client.patch(at, json={"metadata": {f"a{number}": "x" for number in range(16)}}).status_code == 200
    refused = client.patch(at, json={"metadata": {"b": "x"}})
    assert (refused.status_code, refused.json()["errors"][0]["param"]) == (422, "metadata")
    assert client.patch(at, json={"metadata": {"b": "x", "a0": None}}).status_code == 200


def test_resources_are_described_at_creation(client: TestClient, rows: Rows) -> None:
    upload = client.post("/v1/uploads/small", files={"file": ("a.zip", b"images")}).json()["id"]
    scored = rows.explainable_job()
    for path, body in (
        ("/v1/models", {"architecture": "timm:resnet18"}),
        ("/v1/datasets", {"upload": upload}),
        ("/v1/jobs", rows.request()),
        ("/v1/jobs", {"kind": "explain", "job": scored, "split": "test"}),
        ("/v1/jobs", {"kind": "finetune", "model": rows.model(), "dataset": rows.dataset(), "library": {"kind": "cluster"}}),
        ("/v1/studies", rows.study_request()),
    ):
        made = client.post(path, json={**body, **DESCRIPTION})
        assert made.status_code == 201, made.text
        assert described(made.json()) == described(client.get(made.headers["Location"]).json()) == DESCRIPTION


def test_uses_are_counted_before_a_deletion(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    job = client.get(f"/v1/jobs/{job_id}").json()
    study = rows.study_request(models=[job["model"]], datasets=[job["dataset"]], libraries=[{"kind": "cluster"}])
    client.post("/v1/studies", json=study)
    for at in (f"/v1/models/{job['model']}", f"/v1/datasets/{job['dataset']}"):
        uses = client.get(f"{at}/uses").json()
        assert {name: uses[name] for name in uses if name != "links"} == {
            "unfinished_jobs": 1,
            "finished_jobs": 1,
            "studies": 1,
            "concept_libraries": 1,
            "deletable": False,
        }
        assert client.delete(at).status_code == 409
    pending = client.post("/v1/models", json={"architecture": "timm:resnet18"}).json()["links"]["self"]
    assert client.get(f"{pending}/uses").json()["deletable"], "its own check is canceled"
    assert client.delete(pending).status_code == 204


def test_a_description_is_no_part_of_the_request_that_studies_reuse(client: TestClient, rows: Rows) -> None:
    model, dataset = rows.model(), rows.dataset()
    body = {"kind": "score", "model": model, "dataset": dataset, "library": {"kind": "prototype", "concept_count": 4}}
    job = client.post("/v1/jobs", json={**body, **DESCRIPTION}).json()["id"]
    request = rows.study_request(models=[model], datasets=[dataset], libraries=[{"kind": "prototype"}])
    study = client.post("/v1/studies", json=request).json()
    (cell,) = client.get(study["links"]["cells"]).json()["data"]
    assert cell["job"] == job
