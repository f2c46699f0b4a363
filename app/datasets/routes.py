"""HTTP of data sets."""

from __future__ import annotations

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
from app.http.pagination import Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses, request_id_of
from app.validation import RETRY_AFTER_SECONDS
from iis_schemas.datasets import DatasetCreate, DatasetView

router = APIRouter(prefix="/v1/datasets", tags=["datasets"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=DatasetView, responses=CREATION_RESPONSES)
def create_dataset(body: DatasetCreate, request: Request, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> Response:
    """Register a data set.

    It is pending until a worker has read it.
    """
    view = view_of(service.create_dataset(session, owner.owner_id, body, settings, request_id_of(request)))
    headers = {"Location": view.links["self"], "Retry-After": str(RETRY_AFTER_SECONDS)}
    return Response(view.model_dump_json(), 201, headers, media_type="application/json")


@router.get("", response_model=Page[DatasetView])
def list_datasets(request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List your data sets, newest first.

    Class names, counts by class, names of corrupt files and warnings are in the answer about one data set alone.
    """
    rows = DatasetRepository(session, owner.owner_id).page(params.after, params.limit)
    return respond(request, page([view_with(row, info) for row, info in rows], params, "/v1/datasets"))


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


@router.delete("/{dataset_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_dataset(dataset_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a data set that no unfinished job needs."""
    service.delete_dataset(session, owner.owner_id, dataset_id)
