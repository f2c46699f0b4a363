"""HTTP of data sets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.datasets import service
from app.datasets.repository import DatasetRepository
from app.datasets.views import view_of, view_with
from app.errors import Conflict
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds, poll, respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.listing import NamedList, listed_page
from app.http.pagination import Page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses, request_id_of
from app.registration import registered
from app.validation import RETRY_AFTER_SECONDS
from iis_schemas.datasets import DatasetCreate, DatasetView
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.uses import UsesView

KNOWN_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"model": DatasetView, "description": "The data set of the same content with the same settings"}
}

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=DatasetView, responses={**CREATION_RESPONSES, **KNOWN_RESPONSE})
def create_dataset(body: DatasetCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Register a data set.

    It is pending until a worker has read it. Where you have a data set of the same content with the same settings, that one is the
    answer, with 200 and unchanged; the content of a server folder may change, so that each registration of one is new.
    """
    dataset, is_new = service.create_dataset(session, owner.owner_id, body, settings, request_id_of(request))
    return registered(view_of(dataset), is_new=is_new)


@router.get("", response_model=Page[DatasetView])
def list_datasets(request: Request, session: SessionDep, owner: OwnerDep, query: NamedList) -> Response:
    """List your data sets, newest first unless sorted.

    Class names, counts by class, names of corrupt files and warnings are in the answer about one data set alone.
    """
    rows, cursors = DatasetRepository(session, owner.owner_id).page(query)
    return respond(request, listed_page([view_with(row, info) for row, info in rows], cursors, query, "/v1/datasets"))


@router.get("/{dataset_id}", response_model=DatasetView, responses=RESOURCE_RESPONSES)
async def get_dataset(
    dataset_id: str, request: Request, session: SessionDep, factory: FactoryDep, owner: OwnerDep, wait_seconds: WaitSeconds
) -> Response:
    """Get a data set.

    With `Prefer: wait=N` the answer comes when its check has ended, or after N seconds.
    """

    def read() -> DatasetView:
        with factory() as reading:
            return view_of(DatasetRepository(reading, owner.owner_id).get(dataset_id))

    view = await run_in_threadpool(lambda: view_of(DatasetRepository(session, owner.owner_id).get(dataset_id)))
    if wait_seconds and view.state == "pending":
        view = await poll(admitted_of(request), session, read, lambda seen: seen.state != "pending", wait_seconds)
    headers = {"Preference-Applied": f"wait={wait_seconds:.0f}"} if wait_seconds else {}
    return respond(request, view, headers=headers, retry_after_seconds=RETRY_AFTER_SECONDS if view.state == "pending" else None)


@router.get("/{dataset_id}/uses", response_model=UsesView, responses=RESOURCE_RESPONSES)
def get_dataset_uses(dataset_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Count the jobs, studies and concept libraries that use a data set, to read before it is deleted."""
    return respond(request, service.dataset_uses(session, owner.owner_id, dataset_id))


@router.patch("/{dataset_id}", response_model=DatasetView, responses=CREATION_RESPONSES)
def update_dataset(dataset_id: str, body: DescriptionUpdate, session: SessionDep, owner: OwnerDep) -> DatasetView:
    """Change the name, notes, tags or metadata of a data set; fields that are left out stay."""
    return view_of(service.update_dataset(session, owner.owner_id, dataset_id, body))


@router.delete("/{dataset_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_dataset(dataset_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a data set that no unfinished job needs."""
    service.delete_dataset(session, owner.owner_id, dataset_id)
