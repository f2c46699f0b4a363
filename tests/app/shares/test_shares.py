"""Share links: what their tokens can read, expiry and revocation, and what is stored and answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from app.db.models import IdempotencyRecord, Job, Share
from app.db.session import SessionFactory
from app.http.admission.slots import Slots
from app.http.share_access import ShareRow, is_shared, new_token
from app.settings import Settings
from app.shares.service import MAX_SHARES, create_share
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE
from iis_schemas.shares import MAX_DAYS, ShareCreate
from support.rows import Rows
from support.tenants import Tenant

CONCEPT_ANSWER: dict[str, Any] = {"top_images": [{"index": 17}], "levels": {"high": [{"index": 17}], "middle": [], "low": [{"index": 4}]}}
OF_RESULT = {"result", "curves", "plots", "plots/{name}.{plot_format}", "concept-metrics", "classes"}
OF_STUDY = {"table", "table.csv", "table.parquet", "analysis", "figures/{figure}.{figure_format}"}
SELF = "/v1/shares/{share_id}"


@pytest.fixture
def visitor(app: FastAPI) -> TestClient:
    """A client without an API key."""
    return TestClient(app, raise_server_exceptions=False)


def bearer(share: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {share['token']}"}


def share_result(client: TestClient, job_id: str, **fields: Any) -> dict[str, Any]:
    made = client.post("/v1/shares", json={"job": job_id, **fields})
    assert made.status_code == 201, made.text
    return made.json()


def routes(app: FastAPI) -> list[tuple[str, str]]:
    return [(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods]


def test_a_token_reads_its_result_and_is_refused_everything_else(
    app: FastAPI, client: TestClient, visitor: TestClient, rows: Rows, tenant: Tenant
) -> None:
    job_id, library_id = rows.succeeded_job()
    other_job, _ = rows.succeeded_job()
    share = share_result(client, job_id)
    headers = bearer(share)
    for link in ("self", "result", "curves", "plots"):
        answer = visitor.get(share["links"][link], headers=headers)
        assert answer.status_code == 200, link
        assert (answer.headers["Cache-Control"], answer.headers["X-Robots-Tag"]) == ("private, no-store", "noindex, nofollow")
    assert visitor.get(f"/v1/jobs/{job_id}/plots/arr.png", headers=headers).status_code == 200
    seen = visitor.get(share["links"]["self"], headers=headers).json()
    assert (seen["kind"], seen["score"]["protocol"]) == ("result", "exact")
    assert not {"token", "path"} & seen.keys()

    ids = {"job_id": job_id, "library_id": library_id, "share_id": share["id"], "name": "arr", "plot_format": "png", "number": "1"}
    refused = 0
    for method, path in routes(app):
        if "/health/" in path or path in {"/v1/metrics", SELF} or path.removeprefix("/v1/jobs/{job_id}/") in OF_RESULT:
            continue
        at = path.format(**{name: ids.get(name, "0") for name in re.findall(r"{(\w+)}", path)})
        answer = visitor.request(method, at, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_shared"), f"{method} {at}"
        refused += 1
    assert refused >= 80
    assert visitor.get(f"/v1/jobs/{other_job}/result", headers=headers).json()["code"] == "not_shared"
    assert visitor.delete(share["links"]["self"], headers=headers).status_code == 404
    assert visitor.get(share["links"]["result"]).status_code == 401
    # A token beside an API key's cookie stays a token.
    key = tenant.headers["Authorization"].removeprefix("Bearer ")
    assert visitor.get("/v1/jobs", headers={**headers, "Cookie": f"iis_key={key}"}).status_code == 404


def test_each_kind_reads_its_own_addresses_alone(app: FastAPI) -> None:
    contents = {"library": "lib_1", "crops": ["41.png"], "images": [4, 17], "concepts": [3], "query": {}}
    image = contents | {"images": [12], "concepts": [3, 5], "query": {"kept": "2", "top": "8"}}
    expires_at = datetime.now(UTC) + timedelta(days=1)
    shares = {
        kind: ShareRow("shr_1", "own_1", kind, job, study, concept, number, held, expires_at, None)
        for kind, job, study, concept, number, held in (
            ("result", "job_1", None, None, None, {}),
            ("concept", "job_1", None, 3, None, contents),
            ("image", "job_1", None, None, 12, image),
            ("study", None, "std_1", None, None, {}),
        )
    }
    own = {"share_id": "shr_1", "job_id": "job_1", "study_id": "std_1", "library_id": "lib_1", "crop": "41.png", "concept": "3"}
    picture = {"image.png", "heatmaps/{concept}.png"}
    expected = {
        "result": {f"/v1/jobs/{{job_id}}/{name}" for name in OF_RESULT},
        "study": {f"/v1/studies/{{study_id}}/{name}" for name in OF_STUDY},
        "concept": {"/v1/jobs/{job_id}/concepts/{concept}", *(f"/v1/jobs/{{job_id}}/explanations/{{image}}/{name}" for name in picture)},
        "image": {f"/v1/jobs/{{job_id}}/explanations/{{image}}/{name}" for name in picture},
    }
    for kind in ("concept", "image"):
        expected[kind].add("/v1/concept-libraries/{library_id}/exemplars/{crop}")
    for kind, share in shares.items():
        path = own | {"image": "17" if kind == "concept" else "12"}
        found = {route for method, route in routes(app) if is_shared(share, method, route, path, [])}
        found -= {"/v1/jobs/{job_id}/explanations/{image}/heatmaps"}  # without concepts it is refused by its own rules
        assert found == expected[kind] | {SELF}
        for name in ("share_id", "job_id", "study_id", "library_id", "crop"):
            others = {route for method, route in routes(app) if is_shared(share, method, route, path | {name: "other"}, [])}
            assert {route for route in others if f"{{{name}}}" in route} == set(), f"{kind} {name}"

    def reads(kind: str, route: str, query: list[tuple[str, str]], **path: str) -> bool:
        return is_shared(shares[kind], "GET", f"/v1/jobs/{{job_id}}/{route}", own | path, query)

    assert not reads("concept", "explanations/{image}/image.png", [], image="18")
    assert not reads("concept", "explanations/{image}/heatmaps/{concept}.png", [], image="17", concept="4")
    assert not reads("concept", "concepts/{concept}", [], concept="4")
    assert reads("image", "explanations/{image}", [("kept", "2"), ("top", "8")], image="12")
    for query in (
        [],
        [("kept", "3"), ("top", "8")],
        [("kept", "2"), ("top", "8"), ("top", "9")],
        [("kept", "2"), ("top", "8"), ("contrast", "a")],
    ):
        assert not reads("image", "explanations/{image}", query, image="12")
    assert reads("image", "explanations/{image}/heatmaps", [("concepts", "3"), ("concepts", "5")], image="12")
    assert not reads("image", "explanations/{image}/heatmaps", [("concepts", "4")], image="12")
    assert not reads("image", "explanations/{image}/heatmaps", [("concepts", "3")], image="13")


def test_links_to_a_concept_and_an_image_hold_what_their_pages_show(
    sessions: SessionFactory, rows: Rows, tenant: Tenant, settings: Settings, visitor: TestClient
) -> None:
    job_id = rows.explainable_job()
    explained = EXPLANATION_EXAMPLE | {"kept": 2, "contrast": None}
    explained["supporting"] = [{"concept": 3, "contribution": 1.0}, {"concept": 1, "contribution": 0.5}]
    explained["opposing"] = [{"concept": 0, "contribution": -0.5}]
    with sessions.begin() as session:
        of_concept, token = create_share(session, tenant.owner_id, ShareCreate(job=job_id, concept=3), CONCEPT_ANSWER, settings)
        of_image, _ = create_share(session, tenant.owner_id, ShareCreate(job=job_id, image=12), explained, settings)
        library_id = of_concept.contents["library"]
        assert of_concept.contents == {"library": library_id, "concepts": [3], "images": [4, 17], "crops": ["41.png"], "query": {}}
        assert of_image.contents["concepts"] == [0, 1, 3]
        assert of_image.contents["query"] == {"kept": "2", "top": "8"}
    headers = {"Authorization": f"Bearer {token}"}
    at = f"/v1/concept-libraries/{library_id}"
    assert visitor.get(f"{at}/exemplars/41.png", headers=headers).status_code == 200
    for path in (at, f"{at}/concepts", f"{at}/exemplars", f"{at}/exemplars/42.png", f"/v1/jobs/{job_id}/result"):
        assert visitor.get(path, headers=headers).json()["code"] == "not_shared"


def test_the_token_is_stored_as_a_digest_and_shown_once(client: TestClient, rows: Rows, sessions: SessionFactory) -> None:
    job_id, _ = rows.succeeded_job()
    once = {"Idempotency-Key": "one link"}
    made = client.post("/v1/shares", json={"job": job_id}, headers=once).json()
    assert re.fullmatch(r"iisshare_[\w-]{43}", made["token"])
    assert made["path"] == f"/shared/{made['id']}#{made['token']}"
    assert made["hint"] == made["token"][-4:]
    again = client.post("/v1/shares", json={"job": job_id}, headers=once).json()
    assert (again["id"], again["token"], again["path"]) == (made["id"], None, None)
    with sessions() as session:
        row = session.get_one(Share, made["id"])
        kept = session.scalars(select(IdempotencyRecord.response_body).where(IdempotencyRecord.key == "one link")).one()
    stored = str({name: getattr(row, name) for name in (column.key for column in Share.__table__.columns)})
    assert made["token"] not in stored + str(kept)
    assert len(row.digest) == 64
    listed = client.get("/v1/shares").json()["data"]
    assert [one["id"] for one in listed] == [made["id"]]
    assert made["token"] not in str(listed)


def test_a_link_ends_when_it_expires_is_revoked_or_its_job_is_deleted(
    client: TestClient, visitor: TestClient, rows: Rows, sessions: SessionFactory
) -> None:
    job_id, _ = rows.succeeded_job()
    expired, revoked, orphaned = (share_result(client, job_id) for _ in range(3))
    assert {visitor.get(one["links"]["result"], headers=bearer(one)).status_code for one in (expired, revoked, orphaned)} == {200}
    with sessions.begin() as session:
        session.execute(update(Share).where(Share.id == expired["id"]).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert client.delete(revoked["links"]["self"]).status_code == 204
    for one in (expired, revoked):
        answer = visitor.get(one["links"]["result"], headers=bearer(one))
        assert (answer.status_code, answer.json()["code"]) == (401, "share_unknown")
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert visitor.get(orphaned["links"]["self"], headers=bearer(orphaned)).status_code == 401
    assert client.get("/v1/shares").json()["data"] == []


def test_the_expiry_is_bounded(client: TestClient, rows: Rows) -> None:
    job_id, _ = rows.succeeded_job()
    for days in (0, MAX_DAYS + 1):
        assert client.post("/v1/shares", json={"job": job_id, "expires_in_days": days}).status_code == 422
    made = share_result(client, job_id, expires_in_days=MAX_DAYS)
    expires_at = datetime.fromisoformat(made["expires_at"])
    assert timedelta(days=MAX_DAYS - 1) < expires_at - datetime.now(UTC) <= timedelta(days=MAX_DAYS)


def test_a_study_is_shared_without_its_jobs(client: TestClient, visitor: TestClient, rows: Rows) -> None:
    study = client.post("/v1/studies", json=rows.study_request()).json()
    unfinished = client.post("/v1/shares", json={"study": study["id"]})
    assert (unfinished.status_code, unfinished.json()["code"]) == (409, "study_unfinished")
    job_id = client.get(study["links"]["cells"]).json()["data"][0]["job"]
    rows.succeed(job_id, rows.claim(job_id))
    share = client.post("/v1/shares", json={"study": study["id"]}).json()
    assert (share["title"], share["grid"]["models"]) == (study["name"], study["grid"]["models"])
    assert visitor.get(share["links"]["table"], headers=bearer(share)).json()["study"] == study["id"]
    for path in (study["links"]["self"], study["links"]["cells"], f"/v1/jobs/{job_id}/result"):
        assert visitor.get(path, headers=bearer(share)).json()["code"] == "not_shared"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"job": "job_1", "study": "std_1"},
        {"study": "std_1", "image": 1},
        {"job": "job_1", "image": 1, "concept": 1},
        {"job": "a", "kept": 3},
    ],
)
def test_a_link_names_one_thing(client: TestClient, fields: dict[str, Any]) -> None:
    assert client.post("/v1/shares", json=fields).status_code == 422


def test_things_of_other_owners_and_unfinished_jobs_are_not_shared(client: TestClient, rows: Rows, other_rows: Rows) -> None:
    foreign, _ = other_rows.succeeded_job()
    for fields in ({"job": foreign}, {"job": foreign, "image": 0}, {"job": foreign, "concept": 0}):
        assert client.post("/v1/shares", json=fields).json()["code"] == "not_found"
    assert client.post("/v1/shares", json={"job": rows.job()}).status_code == 409


def test_a_key_that_cannot_read_makes_no_token_that_can(client: TestClient, rows: Rows, key_for: Callable[..., dict[str, str]]) -> None:
    job_id, _ = rows.succeeded_job()
    for held, needed in ((("write",), "read"), (("read",), "write")):
        refused = client.post("/v1/shares", json={"job": job_id}, headers=key_for(*held))
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
        assert f"needs a key with the scope {needed};" in refused.json()["detail"]
    made = client.post("/v1/shares", json={"job": job_id}, headers=key_for("read", "write")).json()
    assert client.delete(made["links"]["self"], headers=key_for("write")).status_code == 204


def test_the_shared_thing_cannot_be_deleted_before_its_link_is_added(
    sessions: SessionFactory, rows: Rows, tenant: Tenant, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = rows.succeeded_job()
    refusals: list[str] = []

    def new_token_while_another_deletes() -> str:
        with sessions() as other, pytest.raises(OperationalError) as refused:
            other.execute(select(Job.id).where(Job.id == job_id).with_for_update(nowait=True))
        refusals.append(str(refused.value))
        return new_token()

    monkeypatch.setattr("app.shares.service.new_token", new_token_while_another_deletes)
    with sessions.begin() as session:
        create_share(session, tenant.owner_id, ShareCreate(job=job_id), None, settings)
    assert "could not obtain lock" in refusals[0]


def test_requests_of_a_link_take_slots_under_the_address_of_their_visitor(
    client: TestClient, visitor: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, _ = rows.succeeded_job()
    share = share_result(client, job_id)
    holders: list[str] = []
    acquire = Slots.acquire

    async def recording(slots: Slots, holder: str) -> None:
        holders.append(holder)
        await acquire(slots, holder)

    monkeypatch.setattr(Slots, "acquire", recording)
    assert visitor.get(share["links"]["result"], headers=bearer(share)).status_code == 200
    assert set(holders) == {"address testclient"}


def test_the_number_of_links_is_bounded(client: TestClient, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, _ = rows.succeeded_job()
    monkeypatch.setattr("app.shares.service.MAX_SHARES", 1)
    assert MAX_SHARES == 1000
    share_result(client, job_id)
    assert client.post("/v1/shares", json={"job": job_id}).json()["code"] == "quota_exceeded"


def test_the_page_of_a_link_sends_no_referrer_and_asks_not_to_be_indexed(visitor: TestClient) -> None:
    page = visitor.get("/shared/shr_1", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert (page.headers["Referrer-Policy"], page.headers["X-Robots-Tag"]) == ("no-referrer", "noindex, nofollow")
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert '<meta name="robots" content="noindex, nofollow">' in page.text
