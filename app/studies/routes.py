"""HTTP of studies: create, estimate, get, extend, cancel, delete; cells and table. Statistics: `app.studies.figures`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from app.errors import Conflict
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds, poll, respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.listing import NamedList, listed_page
from app.http.pagination import Page, PageParams, number_cursor, page
from app.http.problems import COMMON_RESPONSES, CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses, request_id_of
from app.studies import estimating, service
from app.studies.repository import StudyRepository
from app.studies.tables import read_cells, read_table, to_csv
from app.studies.views import view_of
from app.webhooks.service import named_webhook
from iis_schemas.descriptions import DescriptionUpdate
from iis_schemas.studies.estimates import EstimateView
from iis_schemas.studies.requests import StudyCreate, StudyEstimateCreate, StudyExtend
from iis_schemas.studies.views import CSV_EXAMPLE, CellView, StudyView, TableView

CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The table", "content": {"text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE}}}
}
CANCELED_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"model": StudyView, "description": "Nothing of the study runs any more"}}

router = APIRouter(prefix="/v1/studies", tags=["studies"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=StudyView, responses=CREATION_RESPONSES)
def create_study(body: StudyCreate, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep) -> Response:
    """Submit a grid of score jobs.

    Jobs of yours that ask for the same are used, not run again. `webhook` names where the end of the study is announced.
    """
    study = service.create_study(session, owner.owner_id, body, settings, request_id_of(request))
    if body.webhook is not None:
        study.webhook_id = named_webhook(session, owner.owner_id, owner.scopes, body.webhook, settings).id
    view = _view(session, owner.owner_id, study.id)
    return Response(view.model_dump_json(), 201, {"Location": view.links["self"], **_retry_after(view)}, media_type="application/json")


@router.post("/estimate", response_model=EstimateView, responses=CREATION_RESPONSES)
def estimate_study(body: StudyEstimateCreate, session: SessionDep, owner: OwnerDep) -> EstimateView:
    """Estimate the cost of a study from the durations of your finished jobs.

    Nothing is written. Models and data sets need not be registered yet.
    """
    return estimating.estimate_study(session, owner.owner_id, service.plan_estimate(session, owner.owner_id, body))


@router.get("", response_model=Page[StudyView], responses=COMMON_RESPONSES)
def list_studies(request: Request, session: SessionDep, owner: OwnerDep, query: NamedList) -> Response:
    """List your studies, newest first unless sorted."""
    studies = StudyRepository(session, owner.owner_id)
    rows, cursors = studies.listed(query)
    states = studies.states([row.id for row in rows])
    return respond(request, listed_page([view_of(row, states[row.id]) for row in rows], cursors, query, "/v1/studies"))


@router.get("/{study_id}", response_model=StudyView, responses=RESOURCE_RESPONSES)
async def get_study(
    study_id: str, request: Request, session: SessionDep, factory: FactoryDep, owner: OwnerDep, wait_seconds: WaitSeconds
) -> Response:
    """Get a study.

    With `Prefer: wait=N` the answer comes when its last job has finished, or after N seconds.
    """

    def read() -> StudyView:
        with factory() as reading:
            return _view(reading, owner.owner_id, study_id)

    view = await run_in_threadpool(_view, session, owner.owner_id, study_id)
    if wait_seconds and view.state == "running":
        view = await poll(admitted_of(request), session, read, lambda seen: seen.state == "finished", wait_seconds)
    headers = {"Preference-Applied": f"wait={wait_seconds:.0f}"} if wait_seconds else {}
    return await run_in_threadpool(respond, request, view, headers={**headers, **_retry_after(view)})


@router.post("/{study_id}/extend", response_model=StudyView, responses=CREATION_RESPONSES)
def extend_study(
    *, study_id: str, body: StudyExtend, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep
) -> Response:
    """Add to the lists of a study; existing cells are not computed again.

    Each cell whose job failed or was canceled gets a new job.
    """
    service.extend_study(session, owner.owner_id, study_id, body, settings, request_id_of(request))
    view = _view(session, owner.owner_id, study_id)
    return Response(view.model_dump_json(), 200, _retry_after(view), media_type="application/json")


@router.post("/{study_id}/cancel", status_code=202, response_model=StudyView, responses={**CREATION_RESPONSES, **CANCELED_RESPONSE})
def cancel_study(study_id: str, session: SessionDep, owner: OwnerDep) -> Response:
    """Cancel the unfinished jobs that this study created and no other study uses (202 while some still stop)."""
    service.cancel_study(session, owner.owner_id, study_id)
    view = _view(session, owner.owner_id, study_id)
    status = 200 if view.state == "finished" else 202
    return Response(view.model_dump_json(), status, _retry_after(view), media_type="application/json")


@router.patch("/{study_id}", response_model=StudyView, responses=CREATION_RESPONSES)
def update_study(study_id: str, body: DescriptionUpdate, session: SessionDep, owner: OwnerDep) -> StudyView:
    """Change the name, notes, tags or metadata of a study; fields that are left out stay."""
    service.update_study(session, owner.owner_id, study_id, body)
    return _view(session, owner.owner_id, study_id)


@router.delete("/{study_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_study(study_id: str, session: SessionDep, owner: OwnerDep) -> None:
    """Delete a study whose jobs have finished; the jobs stay."""
    service.delete_study(session, owner.owner_id, study_id)


@router.get("/{study_id}/cells", response_model=Page[CellView], responses=RESOURCE_RESPONSES)
def list_study_cells(study_id: str, request: Request, session: SessionDep, owner: OwnerDep, params: PageParams) -> Response:
    """List the cells of a study in order, each with its job."""
    found = read_cells(session, owner.owner_id, study_id, number_cursor(params.after), params.limit)
    return respond(request, page(found, params, f"/v1/studies/{study_id}/cells", cursors=[cell.number for cell in found]))


@router.get("/{study_id}/table", response_model=TableView, responses=RESOURCE_RESPONSES)
def get_study_table(study_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get the results of the jobs that have succeeded so far, one row for each."""
    return respond(request, read_table(session, owner.owner_id, study_id))


@router.get("/{study_id}/table.csv", response_class=Response, responses={**RESOURCE_RESPONSES, **CSV_RESPONSE})
def get_study_table_as_csv(study_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get the table of a study as CSV, with the same digits."""
    headers = {"Content-Disposition": f'attachment; filename="{study_id}.csv"'}
    content = to_csv(read_table(session, owner.owner_id, study_id))
    return respond(request, content, media_type="text/csv; charset=utf-8", headers=headers)


def _view(session: Any, owner_id: str, study_id: str) -> StudyView:
    studies = StudyRepository(session, owner_id)
    study = studies.get(study_id)
    return view_of(study, studies.states([study_id])[study_id])


def _retry_after(view: StudyView) -> dict[str, str]:
    return {"Retry-After": str(service.RETRY_AFTER_SECONDS)} if view.state == "running" else {}
