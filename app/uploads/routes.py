"""HTTP of uploads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, File, Form, Path, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from app.db.models import Upload
from app.errors import Conflict, TooLarge
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep, StoreDep
from app.http.idempotency import IdempotentRoute
from app.http.pagination import Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from app.settings import MIB, Settings
from app.uploads import service
from app.uploads.receiving import received_body
from app.uploads.repository import UploadRepository
from app.uploads.views import part_view, upload_view
from iis_schemas.uploads import MAX_PARTS, PartView, Sha256, UploadCreate, UploadView

router = APIRouter(prefix="/v1/uploads", tags=["uploads"], route_class=IdempotentRoute)

RAW_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


@router.post("", status_code=201, response_model=UploadView, responses=CREATION_RESPONSES)
def create_upload(body: UploadCreate, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Declare a file to be uploaded.

    The upload is complete at once where you have uploaded the same content before.
    """
    return _created(service.create_upload(session, owner.owner_id, body, settings), settings)


@router.post("/small", status_code=201, response_model=UploadView, responses=CREATION_RESPONSES)
def upload_small_file(
    session: SessionDep,
    settings: SettingsDep,
    store: StoreDep,
    owner: OwnerDep,
    file: Annotated[UploadFile, File(description="The content")],
    sha256: Annotated[Sha256 | None, Form()] = None,
) -> Response:
    """Upload a small file in one multipart request."""
    name, size_bytes = file.filename or "upload", file.size or 0
    upload = service.create_small_upload(session, store, owner.owner_id, name, size_bytes, _chunks(file), sha256, settings)
    return _created(upload, settings)


@router.get("", response_model=Page[UploadView])
def list_uploads(request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep, params: PageParams) -> Response:
    """List your uploads, newest first."""
    uploads = UploadRepository(session, owner.owner_id)
    rows = uploads.list(after=params.after, limit=params.limit)
    parts = uploads.parts_of_each(rows)
    views = [upload_view(row, parts.get(row.id, []), settings) for row in rows]
    return respond(request, page(views, params, "/v1/uploads"))


@router.get("/{upload_id}", response_model=UploadView, responses=RESOURCE_RESPONSES)
def get_upload(upload_id: str, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Get an upload and the parts that have arrived, to resume an interrupted one."""
    uploads = UploadRepository(session, owner.owner_id)
    upload = uploads.get(upload_id)
    return respond(request, upload_view(upload, uploads.parts(upload), settings))


@router.put(
    "/{upload_id}/parts/{number}",
    response_model=PartView,
    responses={**RESOURCE_RESPONSES, **problem_responses(Conflict, TooLarge)},
    openapi_extra=RAW_BODY,
)
async def put_upload_part(
    upload_id: str,
    number: Annotated[int, Path(ge=1, le=MAX_PARTS)],
    request: Request,
    session: SessionDep,
    settings: SettingsDep,
    store: StoreDep,
    owner: OwnerDep,
) -> PartView:
    """Upload one part as the raw body.

    Parts may come in any order, in parallel, and again after a failure; they are joined by number. One part may be smaller than
    `part_min_bytes` of the upload, usually the last.
    """
    upload = await run_in_threadpool(service.require_open, session, owner.owner_id, upload_id)
    declared_bytes = upload.size_bytes
    async with AsyncExitStack() as folder:
        async with admitted_of(request).paused(session):  # the body may arrive slowly
            received = await folder.enter_async_context(received_body(request, settings.scratch_folder, declared_bytes))
        part = await run_in_threadpool(service.keep_part, session, store, owner.owner_id, upload_id, number, received, settings)
    return part_view(part)


@router.post("/{upload_id}/complete", response_model=UploadView, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def complete_upload(upload_id: str, session: SessionDep, settings: SettingsDep, store: StoreDep, owner: OwnerDep) -> UploadView:
    """Join the parts of an upload and verify size and sha256.

    Where these differ, the parts stay and can be sent again.
    """
    upload = service.complete_upload(session, store, owner.owner_id, upload_id, settings)
    return upload_view(upload, [], settings)


@router.delete("/{upload_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_upload(upload_id: str, session: SessionDep, store: StoreDep, owner: OwnerDep) -> None:
    """Delete an upload that no model or data set uses."""
    service.abandon_upload(session, store, owner.owner_id, upload_id)


def _created(upload: Upload, settings: Settings) -> Response:
    view = upload_view(upload, [], settings)
    return Response(view.model_dump_json(), 201, {"Location": view.links["self"]}, media_type="application/json")


def _chunks(file: UploadFile) -> Iterator[bytes]:
    yield from iter(lambda: file.file.read(MIB), b"")
