"""Signing in by the page: where the key goes, and that no other site can use or plant it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import HttpUrl

from app.http.page_cookie import KEY_COOKIE, PAGE_HEADER
from app.main import create_app
from app.settings import Settings
from app.ui.routes import OWN_PATH

CROSS_SITE, SAME_SITE = {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}
HERE = {"Origin": "http://testserver"}
PAGE = {PAGE_HEADER: "1"}
UPLOAD = {"filename": "a", "size_bytes": 1, "sha256": "0" * 64}


@pytest.fixture
def visitor(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def key(tenant: Any) -> str:
    return tenant.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def signed_in(visitor: TestClient, key: str) -> TestClient:
    assert visitor.post("/sign-in", data={"key": key}, headers=HERE).status_code == 303
    return visitor


def test_the_key_goes_into_a_cookie_that_no_script_and_no_other_site_gets(visitor: TestClient, key: str) -> None:
    answer = visitor.post("/sign-in", data={"key": f" {key}\n"}, headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{KEY_COOKIE}={key};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert visitor.get("/v1/jobs").status_code == 200


@pytest.mark.parametrize("told", ["API key: …/api-key", "the key to sign in with is in …/api-key"])
def test_the_hint_quotes_what_a_service_says_of_its_keys_file(visitor: TestClient, told: str) -> None:
    assert told in re.sub("<[^>]+>", "", visitor.get("/sign-in").text)


def test_over_https_the_cookie_is_for_https_alone(app: FastAPI, key: str) -> None:
    visitor = TestClient(app, base_url="https://testserver", follow_redirects=False)
    answer = visitor.post("/sign-in", data={"key": key}, headers={"Origin": "https://testserver"})
    assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_behind_a_proxy_the_public_address_decides_on_the_cookie_and_on_who_may_sign_in(settings: Settings, key: str) -> None:
    """The proxy ends TLS and asks for the service under a name of its own."""
    behind = create_app(settings.model_copy(update={"public_url": HttpUrl("https://iis.example.org")}))
    visitor = TestClient(behind, base_url="http://api:8000", follow_redirects=False)
    answer = visitor.post("/sign-in", data={"key": key}, headers={"Origin": "https://iis.example.org"})
    assert answer.status_code == 303
    assert "Secure" in answer.headers["set-cookie"].split("; ")
    for origin in ("http://api:8000", "http://iis.example.org", "https://iis.example.org.elsewhere.example"):
        assert visitor.post("/sign-in", data={"key": key}, headers={"Origin": origin}).status_code == 403
    behind.state.engine.dispose()


@pytest.mark.parametrize(("sent", "told"), [("iis_wrong", "unknown or was revoked"), ("wrong", "begins with"), ("", "begins with")])
def test_a_wrong_key_is_told_on_the_page_and_sets_nothing(visitor: TestClient, sent: str, told: str) -> None:
    answer = visitor.post("/sign-in", data={"key": sent}, headers=HERE)
    assert answer.status_code == 401
    assert told in answer.text
    assert "set-cookie" not in answer.headers
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_no_other_site_can_sign_somebody_in_or_out(visitor: TestClient, key: str, headers: dict[str, str]) -> None:
    for path, form in (("/sign-in", {"key": key}), ("/sign-out", {})):
        answer = visitor.post(path, data=form, headers=headers)
        assert answer.status_code == 403
        assert "another site" in answer.text
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("following", "then"),
    [
        ("/jobs/job_1?a=b", "/jobs/job_1?a=b"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_signing_in_leads_back_to_our_own_pages_alone(visitor: TestClient, key: str, following: str, then: str) -> None:
    answer = visitor.post("/sign-in", params={"next": following}, data={"key": key}, headers=HERE)
    assert answer.headers["location"] == then
    assert OWN_PATH.fullmatch(then)


def test_signing_out_ends_it(signed_in: TestClient) -> None:
    answer = signed_in.post("/sign-out", headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert signed_in.get("/v1/jobs").status_code == 401


def test_the_cookie_reads_but_changes_nothing_without_the_pages_header(signed_in: TestClient) -> None:
    assert signed_in.get("/v1/uploads").json()["data"] == []
    refused = signed_in.post("/v1/uploads", json=UPLOAD)
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert (refused.json()["code"], PAGE_HEADER in refused.json()["detail"]) == ("forbidden", True)
    assert signed_in.get("/v1/uploads").json()["data"] == []
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=PAGE).status_code == 201


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_another_site_is_refused_even_with_the_pages_header(signed_in: TestClient, headers: dict[str, str]) -> None:
    own = signed_in.post("/v1/uploads", json=UPLOAD, headers={**PAGE, **HERE, "Sec-Fetch-Site": "same-origin"}).json()["links"]["self"]
    for method, path in (("POST", "/v1/uploads"), ("PUT", f"{own}/parts/1"), ("DELETE", own)):
        refused = signed_in.request(method, path, json=UPLOAD, headers={**PAGE, **headers})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), method
    assert signed_in.get(own).json()["parts"] == []


def test_an_idempotent_request_is_held_to_the_same(signed_in: TestClient) -> None:
    once = {"Idempotency-Key": "once"}
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=once).status_code == 403
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers={**once, **PAGE}).status_code == 201


def test_a_header_goes_before_the_cookie_and_needs_no_proof(signed_in: TestClient, stranger: Any) -> None:
    signed_in.post("/v1/uploads", json=UPLOAD, headers=PAGE)
    assert signed_in.get("/v1/uploads", headers=stranger.headers).json()["data"] == []
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=stranger.headers).status_code == 201
    assert signed_in.get("/v1/jobs", headers={"Authorization": "Bearer iis_wrong"}).status_code == 401


def test_a_revoked_key_no_longer_opens_anything_by_cookie(signed_in: TestClient, tenant: Any) -> None:
    first = signed_in.get("/v1/api-keys").json()["data"][0]["id"]
    assert signed_in.post("/v1/api-keys", json={"name": "second"}, headers=tenant.headers).status_code == 201
    assert signed_in.delete(f"/v1/api-keys/{first}", headers=PAGE).status_code == 204
    assert signed_in.get("/v1/jobs").status_code == 401
