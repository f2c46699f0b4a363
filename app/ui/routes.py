"""HTTP routes of the web page: pages, static files, sign-in and sign-out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, cast

from fastapi import APIRouter, FastAPI, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.errors import NotFound, Unauthorized
from app.http.auth import authenticate_request
from app.http.key_text import KEY_COOKIE
from app.http.page_cookie import by_https, comes_from_here
from app.ui.pages import SHARED_HEADERS, render
from app.ui.statics import respond_static, static_files

PAGES = {
    "/": "jobs.html",
    "/submit": "submit.html",
    "/compare": "compare.html",
    "/studies": "studies.html",
    "/studies/{study_id}": "study.html",
    "/models": "models.html",
    "/models/{model_id}": "model.html",
    "/datasets": "datasets.html",
    "/datasets/{dataset_id}": "dataset.html",
    "/libraries": "libraries.html",
    "/libraries/{library_id}": "library.html",
    "/vocabularies": "vocabularies.html",
    "/vocabularies/{vocabulary_id}": "vocabulary.html",
    "/webhooks": "webhooks.html",
    "/webhooks/{webhook_id}": "webhook.html",
    "/leaderboard": "leaderboard.html",
    "/shares": "shares.html",
    "/keys": "keys.html",
    "/jobs/{job_id}": "job.html",
    "/jobs/{job_id}/concepts": "concepts.html",
    "/jobs/{job_id}/concepts/{concept}": "concept.html",
    "/jobs/{job_id}/images": "images.html",
    "/jobs/{job_id}/images/{image}": "image.html",
    "/jobs/{job_id}/classes": "classes.html",
    "/jobs/{job_id}/classes/{name:path}": "class.html",
    "/v1/docs": "docs.html",
}
SIGN_IN = "sign_in.html"
OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")  # same origin: one slash, not followed by a host
READ_SCOPE_MISSING = "This API key lacks the read scope, which these pages need; sign in with a key that has it."
CROSS_SITE_REFUSED = "Refused: the form was sent from another site. Sign in on this page."

router = APIRouter(include_in_schema=False)


def _page(template: str) -> Callable[[], Response]:
    def page() -> Response:
        return render(template)

    return page


for _path, _template in PAGES.items():
    router.add_api_route(_path, _page(_template), methods=["GET"], name=_template)


@router.get("/shared/{share_id}")
def shared_page() -> Response:
    """Render the page of a share link; the token is in the fragment of its address, which browsers do not send."""
    return render("shared.html", headers=SHARED_HEADERS)


@router.get("/static/{requested_version}/{name}")
def static(requested_version: str, name: str, request: Request) -> Response:
    """Serve a script, a stylesheet or an icon."""
    file = static_files().get(name)
    if file is None:
        raise NotFound(f"There is no static file {name}.")
    return respond_static(request, file, requested_version)


@router.get("/sign-in")
def sign_in_page() -> Response:
    return render(SIGN_IN)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    key: Annotated[str, Form()] = "",
    next_path: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    """Check the key and store it in a cookie: HttpOnly, SameSite=Strict, and Secure over HTTPS."""
    if not comes_from_here(request):
        return render(SIGN_IN, 403, problem=CROSS_SITE_REFUSED)
    secret = key.strip()
    try:
        owner = await authenticate_request(request, f"Bearer {secret}")
    except Unauthorized as error:
        problem = error.detail if secret.startswith("iis_") else "An API key starts with iis_; paste the whole line of the key file."
        return render(SIGN_IN, 401, problem=problem)
    if "read" not in owner.scopes:
        return render(SIGN_IN, 403, problem=READ_SCOPE_MISSING)
    response = RedirectResponse(next_path if OWN_PATH.fullmatch(next_path) else "/", 303)
    response.set_cookie(KEY_COOKIE, secret, path="/", httponly=True, samesite="strict", secure=by_https(request))
    return response


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """Delete the cookie and the browser's cached API responses."""
    if not comes_from_here(request):
        return render(SIGN_IN, 403, problem=CROSS_SITE_REFUSED)
    response = RedirectResponse("/sign-in", 303, {"Clear-Site-Data": '"cache"'})
    response.delete_cookie(KEY_COOKIE, path="/", httponly=True, samesite="strict", secure=by_https(request))
    return response


def install_pages(app: FastAPI) -> None:
    """Add the page routes; render an HTML page for 404 when a browser requests one outside /v1 and /v2."""
    app.include_router(router)
    respond_problem = cast("Callable[[Request, Exception], Response]", app.exception_handlers[HTTPException])

    async def handle_error(request: Request, error: Exception) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(("/v1/", "/v2/"))
        if cast("HTTPException", error).status_code == 404 and wants_page:
            return render("not_found.html", 404)
        return respond_problem(request, error)

    app.add_exception_handler(HTTPException, handle_error)
