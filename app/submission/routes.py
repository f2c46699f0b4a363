"""Route that submits jobs of every kind: POST /v1/jobs. The other routes of jobs: app.jobs.routes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.batches.service import create_batch
from app.finetuning.service import create_finetune
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import WaitSeconds
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.idempotency import IdempotentRoute
from app.http.problems import CREATION_RESPONSES, request_id_of
from app.jobs import service
from app.jobs.signals import SignalsDep
from app.jobs.views import view_of
from app.jobs.waiting import LaterResponse
from app.webhooks.service import named_webhook
from iis_schemas.jobs.finetuning import FinetuneCreate
from iis_schemas.jobs.requests import JobCreate, ScoreCreate
from iis_schemas.jobs.views import AnyJob, AnyJobView

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=IdempotentRoute)


@router.post("", status_code=201, response_model=AnyJob, responses=CREATION_RESPONSES)
def create_job(
    *,
    body: JobCreate,
    request: Request,
    session: SessionDep,
    sessions: FactoryDep,
    owner: OwnerDep,
    settings: SettingsDep,
    signals: SignalsDep,
    wait_seconds: WaitSeconds,
) -> Response:
    """Submit a job.

    `webhook` names where its end is announced. With `Prefer: wait=N` the answer comes when the job has finished, or after N seconds.
    """
    if isinstance(body, ScoreCreate):
        job = service.create_job(session, owner.owner_id, body, settings, request_id_of(request))
    elif isinstance(body, FinetuneCreate):
        job = create_finetune(session, owner.owner_id, body, settings, request_id_of(request))
    else:
        job = create_batch(session, owner.owner_id, body, settings, request_id_of(request))
    if body.webhook is not None:
        job.webhook_id = named_webhook(session, owner.owner_id, owner.scopes, body.webhook, settings).id
        job.webhook_events = body.webhook_events
        session.flush()
    session.refresh(job)
    accepted = view_of(job)
    if not wait_seconds:
        return _created(accepted)

    async def finished() -> Response:
        admitted = admitted_of(request)
        view = await service.wait_until_finished(admitted, signals, sessions, owner.owner_id, accepted.id, wait_seconds)
        return _created(view, {"Preference-Applied": f"wait={wait_seconds:.0f}"})

    return LaterResponse(_created(accepted), finished)


def _created(view: AnyJobView, headers: dict[str, str] | None = None) -> Response:
    fields = {"Location": view.links["self"], **(headers or {})}
    if not view.finished:
        fields["Retry-After"] = str(service.RETRY_AFTER_SECONDS)
    return Response(view.model_dump_json(), 201, fields, media_type="application/json")
