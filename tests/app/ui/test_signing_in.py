"""Sign-in and sign-out: the cookie, cross-site requests, redirects, revoked keys."""

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
SAME_ORIGIN = {"Origin": "http://testserver"}
PAGE_HEADERS = {PAGE_HEADER: "1"}
UPLOAD = {"filename": "a", "size_bytes": 1, "sha256": "0" * 64}


@pytest.fixture
def visitor(app: FastAPI) -> TestClient:
    return TestClient(app, follow_redirects=False)


@pytest.fixture
def key(tenant: Any) -> str:
    return tenant.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def signed_in(visitor: TestClient, key: str) -> TestClient:
    assert visitor.post("/sign-in", data={"key": key}, headers=SAME_ORIGIN).status_code == 303
    return visitor


def test_sign_in_sets_an_httponly_samesite_cookie(visitor: TestClient, key: str) -> None:
    response = visitor.post("/sign-in", data={"key": f" {key}\n"}, headers=SAME_ORIGIN)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{KEY_COOKIE}={key};")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert visitor.get("/v1/jobs").status_code == 200


def test_the_sign_in_page_names_the_key_file_of_a_local_service(visitor: TestClient) -> None:
    assert "…/api-key" in re.sub("<[^>]+>", "", visitor.get("/sign-in").text)


def test_the_cookie_is_secure_over_https(app: FastAPI, key: str) -> None:
    visitor = TestClient(app, base_url="https://testserver", follow_redirects=False)
    response = visitor.post("/sign-in", data={"key": key}, headers={"Origin": "https://testserver"})
    assert "Secure" in response.headers["set-cookie"].split("; ")


def test_behind_a_proxy_cookie_and_origin_check_use_the_public_address(settings: Settings, key: str) -> None:
    """The proxy terminates TLS and uses an internal host name."""
    behind = create_app(settings.model_copy(update={"public_url": HttpUrl("https://iis.example.org")}))
    visitor = TestClient(behind, base_url="http://api:8000", follow_redirects=False)
    response = visitor.post("/sign-in", data={"key": key}, headers={"Origin": "https://iis.example.org"})
    assert response.status_code == 303
    assert "Secure" in response.headers["set-cookie"].split("; ")
    for origin in ("http://api:8000", "http://iis.example.org", "https://iis.example.org.elsewhere.example"):
        assert visitor.post("/sign-in", data={"key": key}, headers={"Origin": origin}).status_code == 403
    behind.state.engine.dispose()


@pytest.mark.parametrize(("key", "message"), [("iis_wrong", "unknown or was revoked"), ("wrong", "starts with"), ("", "starts with")])
def test_a_wrong_key_is_reported_and_sets_no_cookie(visitor: TestClient, key: str, message: str) -> None:
    response = visitor.post("/sign-in", data={"key": key}, headers=SAME_ORIGIN)
    assert response.status_code == 401
    assert message in response.text
    assert "set-cookie" not in response.headers
    assert "Content-Security-Policy" in response.headers


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
def test_cross_site_forms_are_refused(visitor: TestClient, key: str, headers: dict[str, str]) -> None:
    for path, form in (("/sign-in", {"key": key}), ("/sign-out", {})):
        response = visitor.post(path, data=form, headers=headers)
        assert response.status_code == 403
        assert "another site" in response.text
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("next_path", "redirect"),
    [
        ("/jobs/job_1?a=b", "/jobs/job_1?a=b"),
        ("//elsewhere.example/", "/"),
        ("/\\elsewhere.example", "/"),
        ("https://elsewhere.example", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_sign_in_redirects_only_to_paths_of_this_service(visitor: TestClient, key: str, next_path: str, redirect: str) -> None:
    response = visitor.post("/sign-in", params={"next": next_path}, data={"key": key}, headers=SAME_ORIGIN)
    assert response.headers["location"] == redirect
    assert OWN_PATH.fullmatch(redirect)


def test_sign_out_ends_the_session(signed_in: TestClient) -> None:
    response = signed_in.post("/sign-out", headers=SAME_ORIGIN)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")
    assert signed_in.get("/v1/jobs").status_code == 401


def test_the_cookie_without_the_page_header_permits_only_reading(signed_in: TestClient) -> None:
    assert signed_in.get("/v1/uploads").json()["data"] == []
    refused = signed_in.post("/v1/uploads", json=UPLOAD)
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert (refused.json()["code"], PAGE_HEADER in refused.json()["detail"]) == ("forbidden", True)
    assert signed_in.get("/v1/uploads").json()["data"] == []
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=PAGE_HEADERS).status_code == 201


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_cross_site_requests_are_refused_even_with_the_page_header(signed_in: TestClient, headers: dict[str, str]) -> None:
    own = signed_in.post("/v1/uploads", json=UPLOAD, headers={**PAGE_HEADERS, **SAME_ORIGIN, "Sec-Fetch-Site": "same-origin"}).json()[
        "links"
    ]["self"]
    for method, path in (("POST", "/v1/uploads"), ("PUT", f"{own}/parts/1"), ("DELETE", own)):
        refused = signed_in.request(method, path, json=UPLOAD, headers={**PAGE_HEADERS, **headers})
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), method
    assert signed_in.get(own).json()["parts"] == []


def test_a_request_with_an_idempotency_key_needs_the_page_header_too(signed_in: TestClient) -> None:
    once = {"Idempotency-Key": "once"}
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=once).status_code == 403
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers={**once, **PAGE_HEADERS}).status_code == 201


def test_an_authorization_header_takes_precedence_over_the_cookie(signed_in: TestClient, other_tenant: Any) -> None:
    signed_in.post("/v1/uploads", json=UPLOAD, headers=PAGE_HEADERS)
    assert signed_in.get("/v1/uploads", headers=other_tenant.headers).json()["data"] == []
    assert signed_in.post("/v1/uploads", json=UPLOAD, headers=other_tenant.headers).status_code == 201
    assert signed_in.get("/v1/jobs", headers={"Authorization": "Bearer iis_wrong"}).status_code == 401


def test_a_revoked_key_is_refused_in_the_cookie(signed_in: TestClient, tenant: Any) -> None:
    first = signed_in.get("/v1/api-keys").json()["data"][0]["id"]
    assert signed_in.post("/v1/api-keys", json={"name": "second"}, headers=tenant.headers).status_code == 201
    assert signed_in.delete(f"/v1/api-keys/{first}", headers=PAGE_HEADERS).status_code == 204
    assert signed_in.get("/v1/jobs").status_code == 401
