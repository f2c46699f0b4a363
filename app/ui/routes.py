"""HTTP of the web page: its pages, its static files, signing in and out. The pages are shells; app/ui/static fills them from /v1."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, cast

from fastapi import APIRouter, FastAPI, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from app.errors import NotFound, Unauthorized
from app.http.auth import authenticate
from app.http.dependencies import SessionDep, SettingsDep
from app.http.page_cookie import KEY_COOKIE, by_https, comes_from_here
from app.ui.pages import render
from app.ui.statics import respond_static, static_files

PAGES = {
    "/": "jobs.html",
    "/submit": "submit.html",
    "/compare": "compare.html",
    "/studies": "studies.html",
    "/studies/{study_id}": "study.html",
    "/leaderboard": "leaderboard.html",
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
OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")  # of this origin: one slash, and nothing that a browser would take for a host
UNREADABLE = "This API key lacks the scope read, which these pages live by; sign in with one that has it."
SITE_REFUSED = "This form was sent by another site, so it was not taken. Sign in here, on the service's own page."

router = APIRouter(include_in_schema=False)


def _page(template: str) -> Callable[[], Response]:
    def page() -> Response:
        return render(template)

    return page


for _path, _template in PAGES.items():
    router.add_api_route(_path, _page(_template), methods=["GET"], name=_template)


@router.get("/static/{asked_version}/{name}")
def static(asked_version: str, name: str, request: Request) -> Response:
    """A script, a stylesheet or plotly.js."""
    file = static_files().get(name)
    if file is None:
        raise NotFound(f"There is no static file {name}.")
    return respond_static(request, file, asked_version)


@router.get("/sign-in")
def sign_in_page() -> Response:
    return render(SIGN_IN)


@router.post("/sign-in")
def sign_in(
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    key: Annotated[str, Form()] = "",
    following: Annotated[str, Query(alias="next")] = "/",
) -> Response:
    """Check the key and put it into a cookie that no script can read and no other site can have sent."""
    if not comes_from_here(request):
        return render(SIGN_IN, 403, problem=SITE_REFUSED)
    secret = key.strip()
    try:
        owner = authenticate(session, f"Bearer {secret}", settings.api_key_secret)
    except Unauthorized as error:
        problem = error.detail if secret.startswith("iis_") else "An API key begins with iis_; paste the whole line of the key file."
        return render(SIGN_IN, 401, problem=problem)
    if "read" not in owner.scopes:
        return render(SIGN_IN, 403, problem=UNREADABLE)
    answer = RedirectResponse(following if OWN_PATH.fullmatch(following) else "/", 303)
    answer.set_cookie(KEY_COOKIE, secret, path="/", httponly=True, samesite="strict", secure=by_https(request))
    return answer


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """Drop the cookie, and what the browser kept of the API's answers."""
    if not comes_from_here(request):
        return render(SIGN_IN, 403, problem=SITE_REFUSED)
    answer = RedirectResponse("/sign-in", 303, {"Clear-Site-Data": '"cache"'})
    answer.delete_cookie(KEY_COOKIE, path="/", httponly=True, samesite="strict", secure=by_https(request))
    return answer


def install_pages(app: FastAPI) -> None:
    """Serve the pages, and answer a browser that asks for one that is not there in the same style; /v1 keeps its problems."""
    app.include_router(router)
    as_problem = cast("Callable[[Request, Exception], Response]", app.exception_handlers[HTTPException])

    async def refuse(request: Request, error: Exception) -> Response:
        wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")
        if cast("HTTPException", error).status_code == 404 and wants_page:
            return render("not_found.html", 404)
        return as_problem(request, error)

    app.add_exception_handler(HTTPException, refuse)
