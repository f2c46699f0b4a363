"""HTTP of a job's events: a page as JSON, or a live stream as text/event-stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from app.errors import Unavailable
from app.events import service
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import FactoryDep, SessionDep
from app.http.pagination import Page, PageParams, page
from app.http.problems import RESOURCE_RESPONSES
from app.http.routes import AuthenticatedRoute
from app.jobs.signals import SignalsDep
from iis_schemas.jobs.events import EVENT_EXAMPLE, EventView

HEARTBEAT_SECONDS = 15
END_SECONDS = 5  # that a stream has after SIGTERM to end by itself, before it is cut off
RECONNECT_MILLISECONDS = 2000
EVENT_STREAM = "text/event-stream"

STREAM_EXAMPLE = f"id: {EVENT_EXAMPLE['id']}\nevent: progress\ndata: " + EventView.model_validate(EVENT_EXAMPLE).model_dump_json() + "\n\n"
STREAM_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page, or the live stream", "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": STREAM_EXAMPLE}}}
}

router = APIRouter(prefix="/v1/jobs/{job_id}/events", tags=["events"], route_class=AuthenticatedRoute)


@router.get("", response_model=Page[EventView], responses={**RESOURCE_RESPONSES, **STREAM_RESPONSE})
async def list_job_events(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    sessions: FactoryDep,
    owner: OwnerDep,
    signals: SignalsDep,
    params: PageParams,
    last_event_id: Annotated[str | None, Header(description="In a stream: resume after this event")] = None,
) -> Response:
    """List the events of a job, oldest first.

    With `Accept: text/event-stream` the same events are streamed until the job has finished.
    """
    if EVENT_STREAM not in request.headers.get("accept", ""):
        after = service.parse_cursor(params.after, "after")
        batch = await run_in_threadpool(service.read_batch, session, owner.owner_id, job_id, after, params.limit + 1)
        return respond(request, page(batch.events, params, f"/v1/jobs/{job_id}/events"), headers={"Vary": "Accept"})
    after = service.parse_cursor(last_event_id or params.after, "Last-Event-ID")
    await run_in_threadpool(service.read_batch, session, owner.owner_id, job_id, after, 1)  # errors need a status, sent before a stream
    admitted = admitted_of(request)
    if not admitted.begin_wait():
        raise Unavailable("Too many event streams and waiting requests are open; close some, or read pages.", code="over_capacity")
    stream = service.follow(admitted, signals, sessions, owner.owner_id, job_id, after)
    return EventSourceResponse(
        _messages(stream), ping=HEARTBEAT_SECONDS, sep="\n", headers={"Vary": "Accept"}, shutdown_grace_period=END_SECONDS
    )


async def _messages(stream: AsyncIterator[EventView]) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="connected", retry=RECONNECT_MILLISECONDS)
    async for event in stream:
        yield ServerSentEvent(event.model_dump_json(), event=event.type, id=str(event.id))
