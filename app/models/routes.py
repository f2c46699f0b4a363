"""HTTP of models."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.errors import Conflict
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds, poll, respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep, StoreDep
from app.http.idempotency import IdempotentRoute
from app.http.listing import NamedList, listed_page
from app.http.pagination import Page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses, request_id_of
from app.http.streaming import deliver
from app.models import service
from app.models.repository import ModelRepository
from app.models.views import view_of
from app.registration import registered
from app.validation import RETRY_AFTER_SECONDS
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.models import ModelCreate, ModelView
from iis_schemas.uses import UsesView

PLAIN_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}$")
CHECKPOINT = "application/octet-stream"
KNOWN_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"model": ModelView, "description": "The model of the same content with the same settings"}
}
CHECKPOINT_RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}
CHECKPOINT_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file, unchanged", "content": {CHECKPOINT: {"schema": {"type": "string", "format": "binary"}}}}
}

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=ModelView, responses={**CREATION_RESPONSES, **KNOWN_RESPONSE})
def create_model(body: ModelCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Register a model.

    It is pending until a worker has loaded it and run it once. Where you have a model of the same content with the same settings, that
    one is the answer, with 200 and unchanged.
    """
    model, is_new = service.create_model(session, owner.owner_id, body, settings, request_id_of(request))
    return registered(view_of(model), is_new=is_new)


@router.get("", response_model=Page[ModelView])
def list_models(request: Request, session: SessionDep, owner: OwnerDep, query: NamedList) -> Response:
    """List your models, newest first unless sorted."""
    rows, cursors = ModelRepository(session, owner.owner_id).listed(query)
    return respond(request, listed_page([view_of(row) for row in rows], cursors, query, "/v1/models"))


@router.get("/{model_id}", response_model=ModelView, responses=RESOURCE_RESPONSES)
async def get_model(
    model_id: str, request: Request, session: SessionDep, factory: FactoryDep, owner: OwnerDep, wait_seconds: WaitSeconds
) -> Response:
    """Get a model.

    With `Prefer: wait=N` the answer comes when its check has ended, or after N seconds.
    """

    def read() -> ModelView:
        with factory() as reading:
            return view_of(ModelRepository(reading, owner.owner_id).get(model_id))

    view = await run_in_threadpool(lambda: view_of(ModelRepository(session, owner.owner_id).get(model_id)))
    if wait_seconds and view.state == "pending":
        view = await poll(admitted_of(request), session, read, lambda seen: seen.state != "pending", wait_seconds)
    headers = {"Preference-Applied": f"wait={wait_seconds:.0f}"} if wait_seconds else {}
    return respond(request, view, headers=headers, retry_after_seconds=RETRY_AFTER_SECONDS if view.state == "pending" else None)


@router.get("/{model_id}/checkpoint", response_class=Response, responses={**CHECKPOINT_RESPONSES, **CHECKPOINT_RESPONSE})
def download_checkpoint(model_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Download the file with a model's weights, as it was uploaded or written by fine-tuning."""
    upload = service.checkpoint_of(session, owner.owner_id, model_id)
    suffix = PLAIN_SUFFIX.search(upload.filename)
    return deliver(request, store, upload.sha256, media_type=CHECKPOINT, filename=model_id + (suffix.group() if suffix else ""))


@router.get("/{model_id}/uses", response_model=UsesView, responses=RESOURCE_RESPONSES)
def get_model_uses(model_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Count the jobs, studies and concept libraries that use a model, to read before it is deleted."""
    return respond(request, service.model_uses(session, owner.owner_id, model_id))


@router.patch("/{model_id}", response_model=ModelView, responses=CREATION_RESPONSES)
def update_model(model_id: str, body: DescriptionUpdate, session: SessionDep, owner: OwnerDep) -> ModelView:
    """Change the name, notes, tags or metadata of a model; fields that are left out stay."""
    return view_of(service.update_model(session, owner.owner_id, model_id, body))


@router.delete("/{model_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_model(model_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a model that no unfinished job needs."""
    service.delete_model(session, owner.owner_id, model_id)
