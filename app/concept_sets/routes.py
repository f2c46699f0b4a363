"""HTTP of concept sets and their versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.concept_sets import service, shipped
from app.concept_sets.files import MEDIA_TYPES, FileFormat
from app.concept_sets.views import PATH
from app.errors import Conflict
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds, poll, respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep, StoreDep
from app.http.idempotency import IdempotentRoute
from app.http.pagination import LARGEST_NUMBER, MAX_LIMIT, Page, PageParams, PageRequest, number_cursor, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses, request_id_of
from app.validation import RETRY_AFTER_SECONDS
from iis_schemas.concept_sets import (
    ConceptSetCreate,
    ConceptSetCreated,
    ConceptSetVersionCreate,
    ConceptSetVersionView,
    ConceptSetView,
    DroppedPhraseView,
    PhraseView,
)

VERSION_AT = "/{concept_set_id}/versions/{number}"
FINAL_RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}
DOWNLOAD_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The phrases, as they may be uploaded again",
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": "# birds of the garden\n\n[bill shapes]\na hooked bill\n"},
            "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/PhraseView"}},
                "example": [{"text": "a hooked bill", "group": "bill shapes"}],
            },
            "text/csv": {"schema": {"type": "string"}, "example": "phrase,group\r\na hooked bill,bill shapes\r\n"},
        },
    }
}

Number = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
Format = Annotated[FileFormat, Query(alias="format")]

router = APIRouter(prefix=PATH, tags=["concept-sets"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=ConceptSetCreated, responses=CREATION_RESPONSES)
def create_concept_set(
    *, body: ConceptSetCreate, request: Request, session: SessionDep, store: StoreDep, settings: SettingsDep, owner: OwnerDep
) -> Response:
    """Create a concept set with its first version.

    The answer lists each phrase that was left out. With `vlm` or `from_classes` the version is pending until a worker has finished it.
    """
    made = service.create_set(session, store, owner.owner_id, body, settings, request_id_of(request))
    return _created(made, made.links["self"])


@router.get("", response_model=Page[ConceptSetView])
def list_concept_sets(request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List your concept sets, newest first."""
    return respond(request, page(service.list_sets(session, owner.owner_id, params.after, params.limit), params, PATH))


@router.get("/shipped", response_model=Page[ConceptSetView])
def list_shipped_concept_sets(request: Request, owner: OwnerDep) -> Response:
    """List the concept sets that come with the service.

    Their names are used in place of an id, and as a job's vocabulary.
    """
    return respond(request, page(shipped.views(), PageRequest(None, MAX_LIMIT), f"{PATH}/shipped"))


@router.get("/{concept_set_id}", response_model=ConceptSetView, responses=RESOURCE_RESPONSES)
def get_concept_set(concept_set_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a concept set."""
    return respond(request, service.show_set(session, owner.owner_id, concept_set_id))


@router.delete("/{concept_set_id}", status_code=204, responses=FINAL_RESPONSES)
def delete_concept_set(concept_set_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a concept set that no unfinished job needs."""
    service.delete_set(session, owner.owner_id, concept_set_id)


@router.post("/{concept_set_id}/versions", status_code=201, response_model=ConceptSetCreated, responses=CREATION_RESPONSES)
def create_concept_set_version(
    *,
    concept_set_id: str,
    body: ConceptSetVersionCreate,
    request: Request,
    session: SessionDep,
    store: StoreDep,
    settings: SettingsDep,
    owner: OwnerDep,
) -> Response:
    """Add a version to a concept set; earlier versions do not change."""
    made = service.create_version(session, store, owner.owner_id, concept_set_id, body, settings, request_id_of(request))
    return _created(made, made.version.links["self"])


@router.get("/{concept_set_id}/versions", response_model=Page[ConceptSetVersionView], responses=RESOURCE_RESPONSES)
def list_concept_set_versions(concept_set_id: str, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List the versions of a concept set, newest first."""
    views = service.list_versions(session, owner.owner_id, concept_set_id, number_cursor(params.after), params.limit)
    return respond(request, page(views, params, f"{PATH}/{concept_set_id}/versions", cursors=[view.number for view in views]))


@router.get(VERSION_AT, response_model=ConceptSetVersionView, responses=RESOURCE_RESPONSES)
async def get_concept_set_version(
    *,
    concept_set_id: str,
    number: Number,
    request: Request,
    session: SessionDep,
    factory: FactoryDep,
    owner: OwnerDep,
    wait_seconds: WaitSeconds,
) -> Response:
    """Get a version of a concept set.

    With `Prefer: wait=N` the answer comes when its check has ended, or after N seconds.
    """

    def read() -> ConceptSetVersionView:
        with factory() as reading:
            return service.show_version(reading, owner.owner_id, concept_set_id, number)

    view = await run_in_threadpool(service.show_version, session, owner.owner_id, concept_set_id, number)
    if wait_seconds and view.state == "pending":
        view = await poll(admitted_of(request), session, read, lambda seen: seen.state != "pending", wait_seconds)
    headers = {"Preference-Applied": f"wait={wait_seconds:.0f}"} if wait_seconds else {}
    return respond(request, view, headers=headers, retry_after_seconds=RETRY_AFTER_SECONDS if view.state == "pending" else None)


@router.get(f"{VERSION_AT}/phrases", response_model=Page[PhraseView], responses=FINAL_RESPONSES)
def list_phrases(
    *, concept_set_id: str, number: Number, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams
) -> Response:
    """List the phrases of a version that is ready, in their order."""
    first = _first(params)
    views = service.list_phrases(session, owner.owner_id, concept_set_id, number, first, params.limit + 1)
    found = page(views, params, f"{PATH}/{concept_set_id}/versions/{number}/phrases", cursors=range(first, first + len(views)))
    return respond(request, found, immutable=not shipped.is_shipped(concept_set_id))


@router.get(f"{VERSION_AT}/dropped", response_model=Page[DroppedPhraseView], responses=RESOURCE_RESPONSES)
def list_dropped_phrases(
    *, concept_set_id: str, number: Number, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams
) -> Response:
    """List the phrases that were left out of a version, each with its reason."""
    first = _first(params)
    views = service.list_dropped(session, owner.owner_id, concept_set_id, number, first, params.limit + 1)
    found = page(views, params, f"{PATH}/{concept_set_id}/versions/{number}/dropped", cursors=range(first, first + len(views)))
    return respond(request, found)


@router.get(f"{VERSION_AT}/download", response_class=Response, responses={**FINAL_RESPONSES, **DOWNLOAD_RESPONSE})
def download_phrases(
    *, concept_set_id: str, number: Number, request: Request, session: SessionDep, owner: OwnerDep, file_format: Format = "txt"
) -> Response:
    """Download all phrases of a version that is ready, as a file that can be uploaded again."""
    content = service.write_version(session, owner.owner_id, concept_set_id, number, file_format)
    headers = {"Content-Disposition": f'inline; filename="{concept_set_id}-{number}.{file_format}"'}
    lasting = not shipped.is_shipped(concept_set_id)
    return respond(request, content, media_type=MEDIA_TYPES[file_format], headers=headers, immutable=lasting)


def _first(params: PageRequest) -> int:
    """The index at which a page of phrases begins."""
    after = number_cursor(params.after)
    return 0 if after is None else after + 1


def _created(made: ConceptSetCreated, location: str) -> Response:
    headers = {"Location": location}
    if made.version.state == "pending":
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(made.model_dump_json(), 201, headers, media_type="application/json")
