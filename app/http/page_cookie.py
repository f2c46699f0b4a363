"""What a browser sends: the page's cookie in place of an Authorization header, and how our own page is told from another site's."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from app.errors import Forbidden
from app.http.dependencies import settings_of
from app.http.scopes import LOOKING

KEY_COOKIE = "iis_key"
PAGE_HEADER = "X-IIS-Page"


def authorization_of(request: Request) -> str | None:
    """The Authorization header, or what stands for it: the key in the page's cookie.

    A browser adds a cookie to whatever a site makes it send, a header never, so only requests that rest on the cookie have to
    prove where they come from, and of those only the ones that change something.

    Raises
    ------
    Forbidden
        For an unsafe request that rests on the cookie and does not show that our own page sent it.
    """
    given = request.headers.get("authorization")
    key = request.cookies.get(KEY_COOKIE)
    if given is not None or key is None:
        return given
    if request.method not in LOOKING:
        if PAGE_HEADER.lower() not in request.headers:
            raise Forbidden(f"A request that signs in by the page's cookie must carry the header {PAGE_HEADER}: 1.")
        if comes_from_elsewhere(request):
            raise Forbidden("This request was made by another site; the page's cookie serves this service's own pages alone.")
    return f"Bearer {key}"


def comes_from_elsewhere(request: Request) -> bool:
    """Whether Origin or Sec-Fetch-Site says that a page of another origin made the browser send this."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return True
    public = settings_of(request).public_origin
    if public is not None:
        return origin is not None and origin != public
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")  # behind a proxy the schemes may differ


def by_https(request: Request) -> bool:
    """Whether the browser reaches the service by https, so that its cookie may be kept to that."""
    return (settings_of(request).public_origin or str(request.url)).startswith("https:")


def comes_from_here(request: Request) -> bool:
    """Whether the browser itself says that one of our own pages sent this; for forms, which can carry no header of ours."""
    said = {"sec-fetch-site", "origin"} & set(request.headers)
    return bool(said) and not comes_from_elsewhere(request)
