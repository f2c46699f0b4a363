"""Authentication by the web page's cookie, and protection against cross-site request forgery (CSRF)."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from app.errors import Forbidden
from app.http.dependencies import settings_of
from app.http.key_text import KEY_COOKIE
from app.http.scopes import SAFE_METHODS

PAGE_HEADER = "X-IIS-Page"


def authorization_of(request: Request) -> str | None:
    """Authorization header of a request; without one, a bearer header from the page's cookie.

    Browsers attach cookies to cross-site requests, but never an Authorization header. Unsafe requests authenticated by the
    cookie must therefore show that our own page sent them.

    Raises
    ------
    Forbidden
        For an unsafe request that is authenticated by the cookie and was not sent by our page.
    """
    given = request.headers.get("authorization")
    key = request.cookies.get(KEY_COOKIE)
    if given is not None or key is None:
        return given
    if request.method not in SAFE_METHODS:
        if PAGE_HEADER.lower() not in request.headers:
            raise Forbidden(f"Requests authenticated by the page's cookie must have the header {PAGE_HEADER}: 1.")
        if comes_from_elsewhere(request):
            raise Forbidden("Another site sent this request; the page's cookie is accepted only from this service's own pages.")
    return f"Bearer {key}"


def comes_from_elsewhere(request: Request) -> bool:
    """Whether Origin or Sec-Fetch-Site names another origin."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return True
    public = settings_of(request).public_origin
    if public is not None:
        return origin is not None and origin != public
    # Compare without the scheme, which a proxy may change.
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def by_https(request: Request) -> bool:
    """Whether the browser reaches the service by https, so that the cookie can be `Secure`."""
    return (settings_of(request).public_origin or str(request.url)).startswith("https:")


def comes_from_here(request: Request) -> bool:
    """Whether Origin or Sec-Fetch-Site names our own origin; for forms, which cannot send the page's header."""
    present = {"sec-fetch-site", "origin"} & set(request.headers)
    return bool(present) and not comes_from_elsewhere(request)
