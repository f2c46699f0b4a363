"""HTTP of API keys."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api_keys import service
from app.api_keys.repository import ApiKeyRepository
from app.api_keys.views import view_of
from app.db.models import ApiKey
from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.pagination import Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from iis_schemas.api_keys import ApiKeyCreate, ApiKeyCreated, ApiKeyRotate, ApiKeyView

router = APIRouter(prefix="/v1/api-keys", tags=["api-keys"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=ApiKeyCreated, responses=CREATION_RESPONSES)
def create_api_key(body: ApiKeyCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Create an API key.

    Its secret is in this answer alone.
    """
    key, secret = service.create_key_by(session, owner, body, settings)
    return _with_secret(request, key, secret, 201, {"Location": f"/v1/api-keys/{key.id}"})


@router.get("", response_model=Page[ApiKeyView])
def list_api_keys(request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List your API keys, newest first, revoked ones included."""
    rows = ApiKeyRepository(session, owner.owner_id).list(after=params.after, limit=params.limit)
    return respond(request, page([view_of(row) for row in rows], params, "/v1/api-keys"))


@router.get("/{key_id}", response_model=ApiKeyView, responses=RESOURCE_RESPONSES)
def get_api_key(key_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get an API key."""
    return respond(request, view_of(ApiKeyRepository(session, owner.owner_id).get(key_id)))


@router.post("/{key_id}/rotate", response_model=ApiKeyCreated, responses=CREATION_RESPONSES)
def rotate_api_key(
    *, key_id: str, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep, body: ApiKeyRotate | None = None
) -> Response:
    """Replace the secret of an API key.

    The new secret is in this answer alone. The old one works for a day, or for `grace_seconds`.
    """
    key, secret = service.rotate_key(session, owner, key_id, (body or ApiKeyRotate()).grace_seconds, settings)
    return _with_secret(request, key, secret, 200)


@router.delete("/{key_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def revoke_api_key(key_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Revoke an API key: it is refused from the next request on."""
    service.revoke_key(session, owner.owner_id, key_id)


def _with_secret(request: Request, key: ApiKey, secret: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """The answer with the secret; the one that is kept for an Idempotency-Key has none."""
    created = ApiKeyCreated(**view_of(key).model_dump(), secret=secret)
    request.state.replay_body = created.model_copy(update={"secret": None}).model_dump_json().encode()
    return Response(created.model_dump_json(), status, {**(headers or {}), "Cache-Control": "no-store"}, media_type="application/json")
