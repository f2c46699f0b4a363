"""HTTP of concept libraries: list, view, delete, concepts kept and dropped, download, nearest concepts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.concept_libraries import service
from app.concept_libraries.repository import ConceptLibraryRepository
from app.concept_libraries.views import concept_view, dropped_view, library_view
from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep, StoreDep
from app.http.idempotency import IdempotentRoute
from app.http.listing import NamedList, listed_page
from app.http.pagination import ID_PATTERN, Page, PageParams, number_cursor, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from app.http.streaming import deliver
from iis_schemas.concept_libraries import ConceptLibraryView, ConceptView, DroppedConceptView, NearestRequest, NearestView
from iis_schemas.descriptions import OptionalNameUpdate

PATH = "/v1/concept-libraries"
SAFETENSORS = "application/octet-stream"
ZIP = "application/zip"
EXEMPLARS_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A zip of PNG files", "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}
}
CROP_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A PNG file", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
DOWNLOAD_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A safetensors file", "content": {SAFETENSORS: {"schema": {"type": "string", "format": "binary"}}}}
}

router = APIRouter(prefix=PATH, tags=["concept-libraries"], route_class=IdempotentRoute)


@router.get("", response_model=Page[ConceptLibraryView], responses=RESOURCE_RESPONSES)
def list_concept_libraries(
    *,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    query: NamedList,
    model: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    job: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
) -> Response:
    """List your concept libraries, newest first unless sorted."""
    rows, cursors = ConceptLibraryRepository(session, owner.owner_id).page(query, model=model, job=job)
    return respond(request, listed_page([library_view(row) for row in rows], cursors, query, PATH, model=model, job=job))


@router.get("/{library_id}", response_model=ConceptLibraryView, responses=RESOURCE_RESPONSES)
def get_concept_library(library_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a concept library."""
    library = ConceptLibraryRepository(session, owner.owner_id).get(library_id)
    return respond(request, library_view(library))


@router.patch("/{library_id}", response_model=ConceptLibraryView, responses=CREATION_RESPONSES)
def update_concept_library(library_id: str, body: OptionalNameUpdate, session: SessionDep, owner: OwnerDep) -> ConceptLibraryView:
    """Change the name, notes, tags or metadata of a concept library; fields that are left out stay."""
    return library_view(service.update_library(session, owner.owner_id, library_id, body))


@router.delete("/{library_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_concept_library(library_id: str, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> None:
    """Delete a concept library with its concepts, crops and predictors, and share links of its concepts and of images.

    Refused while another job uses it, or explains the job that fitted it. That job keeps its report, curves and figures, and cannot be
    explained any more.
    """
    service.delete_library(session, owner.owner_id, library_id, settings)


@router.get("/{library_id}/concepts", response_model=Page[ConceptView], responses=RESOURCE_RESPONSES)
def list_library_concepts(library_id: str, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List the concepts of a library by index, with the elements that show them."""
    libraries = ConceptLibraryRepository(session, owner.owner_id)
    libraries.get(library_id)
    rows = libraries.concepts(library_id, after=number_cursor(params.after), limit=params.limit)
    found = page([concept_view(row) for row in rows], params, f"{PATH}/{library_id}/concepts", cursors=[row.index for row in rows])
    return respond(request, found, immutable=True)


@router.get("/{library_id}/dropped", response_model=Page[DroppedConceptView], responses=RESOURCE_RESPONSES)
def list_library_dropped_phrases(library_id: str, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List the phrases that were left out when a text library was fitted, each with its reason and figures."""
    libraries = ConceptLibraryRepository(session, owner.owner_id)
    libraries.get(library_id)
    rows = libraries.dropped(library_id, after=number_cursor(params.after), limit=params.limit)
    views = [dropped_view(row) for row in rows]
    found = page(views, params, f"{PATH}/{library_id}/dropped", cursors=[row.index for row in rows])
    return respond(request, found, immutable=True)


@router.get("/{library_id}/download", response_class=Response, responses={**RESOURCE_RESPONSES, **DOWNLOAD_RESPONSE})
def download_concept_library(library_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Download a concept library as a safetensors file."""
    sha256 = service.artifact_sha256(session, owner.owner_id, library_id)
    return deliver(request, store, sha256, media_type=SAFETENSORS, filename=f"{library_id}.safetensors")


@router.get("/{library_id}/exemplars", response_class=Response, responses={**RESOURCE_RESPONSES, **EXEMPLARS_RESPONSE})
def download_exemplars(library_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Download the crops that show the concepts of a library, as a zip.

    The concepts name the files in it.
    """
    sha256 = service.exemplars_sha256(session, owner.owner_id, library_id)
    return deliver(request, store, sha256, media_type=ZIP, filename=f"{library_id}-exemplars.zip")


@router.get("/{library_id}/exemplars/{crop}", response_class=Response, responses={**RESOURCE_RESPONSES, **CROP_RESPONSE})
def get_exemplar(*, library_id: str, crop: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Get one crop as PNG, by the name that a concept's exemplar gives (`crop`)."""
    content = service.read_crop(session, owner.owner_id, library_id, crop, store)
    return respond(request, content, media_type="image/png", immutable=True)


@router.post("/{library_id}/nearest", response_model=NearestView, responses=CREATION_RESPONSES)
def find_nearest_concepts(library_id: str, body: NearestRequest, session: SessionDep, owner: OwnerDep) -> NearestView:
    """Find the concepts nearest to a vector, by cosine."""
    return service.nearest_concepts(session, owner.owner_id, library_id, body)
