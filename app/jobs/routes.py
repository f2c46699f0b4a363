"""Routes of jobs: list, get, wait for, cancel and delete. They are submitted in app.submission."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from app.db.models import Job
from app.errors import Conflict
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds, respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.key_confirmation import unconfirmed_key
from app.http.listing import ScoredList, listed_page
from app.http.pagination import ID_PATTERN, Page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from app.jobs import deletion, service
from app.jobs.expansion import Expansions, expand_jobs
from app.jobs.repository import JobRepository
from app.jobs.signals import SignalsDep
from app.jobs.views import full_view_of, view_of
from app.jobs.waiting import LaterResponse
from iis_schemas.descriptions import OptionalNameUpdate
from iis_schemas.jobs.views import AnyJob, AnyJobView
from iis_schemas.names import JobState

CANCELED_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"model": AnyJob, "description": "The job was queued and is canceled"}}

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=IdempotentRoute)


@router.get("", response_model=Page[AnyJob], responses=RESOURCE_RESPONSES)
def list_jobs(
    *,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    query: ScoredList,
    expand: Expansions,
    kind: Annotated[Literal["score", "explain", "finetune"] | None, Query()] = None,
    state: Annotated[JobState | None, Query()] = None,
    model: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    dataset: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
) -> Response:
    """List your jobs, newest first unless sorted."""
    filters = {"kind": kind, "state": state, "model": model, "dataset": dataset}
    rows, cursors = JobRepository(session, owner.owner_id).page(query, **filters)
    views = expand_jobs(session, owner.owner_id, [view_of(job) for job in rows], expand)
    return respond(request, listed_page(views, cursors, query, "/v1/jobs", **filters, expand=",".join(expand) or None))


@router.get("/{job_id}", response_model=AnyJob, responses=RESOURCE_RESPONSES)
def get_job(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    sessions: FactoryDep,
    owner: OwnerDep,
    signals: SignalsDep,
    wait_seconds: WaitSeconds,
    expand: Expansions,
) -> Response:
    """Get a job.

    With `Prefer: wait=N` the answer comes when the job has finished, or after N seconds.
    """
    view = full_view_of(_read(request, JobRepository(session, owner.owner_id), job_id))
    (view,) = expand_jobs(session, owner.owner_id, [view], expand)
    if not wait_seconds:
        return _shown(request, view)
    applied = {"Preference-Applied": f"wait={wait_seconds:.0f}"}
    if view.finished:
        return _shown(request, view, applied)

    async def finished() -> Response:
        admitted = admitted_of(request)
        ended = await service.wait_until_finished(admitted, signals, sessions, owner.owner_id, job_id, wait_seconds)

        def expanded() -> Response:
            with sessions() as reading:
                return _shown(request, expand_jobs(reading, owner.owner_id, [ended], expand)[0], applied)

        return await admitted.run(expanded) if expand else _shown(request, ended, applied)

    return LaterResponse(_shown(request, view), finished)


@router.post("/{job_id}/cancel", status_code=202, response_model=AnyJob, responses={**CREATION_RESPONSES, **CANCELED_RESPONSE})
def cancel_job(job_id: str, session: SessionDep, owner: OwnerDep) -> Response:
    """Cancel a job: at once while it is queued (200), within seconds while it runs (202)."""
    view = full_view_of(service.cancel_job(session, owner.owner_id, job_id))
    headers = {} if view.finished else {"Retry-After": str(service.RETRY_AFTER_SECONDS)}
    return Response(view.model_dump_json(), 200 if view.finished else 202, headers, media_type="application/json")


@router.patch("/{job_id}", response_model=AnyJob, responses=CREATION_RESPONSES)
def update_job(job_id: str, body: OptionalNameUpdate, session: SessionDep, owner: OwnerDep) -> Response:
    """Change the name, notes, tags or metadata of a job; fields that are left out stay."""
    view = full_view_of(service.update_job(session, owner.owner_id, job_id, body))
    return Response(view.model_dump_json(), media_type="application/json")


@router.delete("/{job_id}", status_code=204, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def delete_job(job_id: str, session: SessionDep, settings: SettingsDep, owner: OwnerDep) -> None:
    """Delete a finished job with its result, concept library, figures and events.

    Refused while a study, an explanation or another job needs it. A model that the job trained stays.
    """
    deletion.delete_job(session, owner.owner_id, job_id, settings)


def _read(request: Request, jobs: JobRepository, job_id: str) -> Job:
    """The job, in one query that confirms a known API key too.

    Raises
    ------
    Unauthorized, NotFound
    """
    key = unconfirmed_key(request)
    if key is None:
        return jobs.get(job_id)
    job = jobs.find_if(job_id, key.is_valid)
    if job is None:
        key.require(jobs.session)
        return jobs.get(job_id)
    return job


def _shown(request: Request, view: AnyJobView, headers: dict[str, str] | None = None) -> Response:
    retry_after_seconds = None if view.finished else service.RETRY_AFTER_SECONDS
    return respond(request, view, headers=headers, retry_after_seconds=retry_after_seconds)
