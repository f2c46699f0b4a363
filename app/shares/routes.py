"""HTTP of share links: create, list, get, revoke. The token of a link is accepted in `app.http.auth`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.idempotency import WaitingIdempotentRoute
from app.http.pagination import ID_PATTERN, Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES
from app.http.worker_answers import ask_worker
from app.shares import service
from app.shares.repository import ShareRepository
from app.shares.views import PATH
from iis_schemas.shares import ShareCreate, ShareCreated, ShareView

router = APIRouter(prefix=PATH, tags=["shares"], route_class=WaitingIdempotentRoute)


@router.post("", status_code=201, response_model=ShareCreated, responses=CREATION_RESPONSES)
async def create_share(body: ShareCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Create a share link, with which one result, concept, image or study can be read without an API key until it expires.

    Its token is in this answer alone.
    """
    await run_in_threadpool(service.require_shareable, session, owner.owner_id, body)
    question = service.question_of(body)
    answer = None if question is None else await ask_worker(request, session, owner.owner_id, *question)
    return await run_in_threadpool(_create, request, session, owner.owner_id, body, answer, settings)


@router.get("", response_model=Page[ShareView])
def list_shares(
    *,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    params: PageParams,
    job: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    study: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
) -> Response:
    """List your share links, newest first, expired ones included until they are removed."""
    rows = ShareRepository(session, owner.owner_id).page(params.after, params.limit, job=job, study=study)
    asked = urlencode({name: value for name, value in (("job", job), ("study", study)) if value is not None})
    path = f"{PATH}?{asked}" if asked else PATH
    return respond(request, page(service.views_of(session, owner.owner_id, rows), params, path))


@router.get("/{share_id}", response_model=ShareView, responses=RESOURCE_RESPONSES)
def get_share(share_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a share link.

    The link's own token may read this too, and the addresses in `links` except `job`.
    """
    share = ShareRepository(session, owner.owner_id).get(share_id)
    return respond(request, service.views_of(session, owner.owner_id, [share])[0])


@router.delete("/{share_id}", status_code=204, responses=RESOURCE_RESPONSES)
def revoke_share(share_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Revoke a share link: its token is refused from the next request on."""
    ShareRepository(session, owner.owner_id).delete(share_id)


def _create(
    request: Request, session: SessionDep, owner_id: str, body: ShareCreate, answer: dict[str, object] | None, settings: SettingsDep
) -> Response:
    share, token = service.create_share(session, owner_id, body, answer, settings)
    session.refresh(share)
    view = service.views_of(session, owner_id, [share])[0]
    created = ShareCreated(**view.model_dump(), token=token, path=f"{view.links['page']}#{token}")
    request.state.replay_body = created.model_copy(update={"token": None, "path": None}).model_dump_json().encode()
    headers = {"Location": view.links["self"], "Cache-Control": "no-store"}
    return Response(created.model_dump_json(), 201, headers, media_type="application/json")
