"""Events of a job: a page from a cursor, and a live stream until the job has finished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.db.models import FINISHED_STATES
from app.db.session import SessionFactory
from app.errors import InvalidInput, Unavailable
from app.events.repository import EventRepository
from app.events.views import view_of
from app.http.admission.admitted import Admitted
from app.jobs.repository import JobRepository
from app.jobs.signals import JobSignals
from iis_schemas.jobs.events import EventView

BATCH_EVENTS = 100
RECHECK_SECONDS = 15.0  # the longest delay after a lost notification
LARGEST_ID = 2**63 - 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Batch:
    """Events, and whether they are the last of the job."""

    events: Sequence[EventView]
    is_last: bool


def parse_cursor(text: str | None, param: str) -> int:
    """The id of the last event that the client has received, 0 for none.

    Raises
    ------
    InvalidInput
    """
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and int(text[:20]) <= LARGEST_ID and len(text) <= 19):
        raise InvalidInput(f"{param} is the id of an event, a whole number; {text[:40]!r} is not.", param=param)
    return int(text)


def read_batch(session: Session, owner_id: str, job_id: str, after: int, limit: int) -> Batch:
    """Up to `limit` events after `after`. The job is read first, so that its last event is among them.

    Raises
    ------
    NotFound
        When the owner has no such job.
    """
    job = JobRepository(session, owner_id).get(job_id)
    events = [view_of(event) for event in EventRepository(session, owner_id).behind(job_id, after, limit)]
    return Batch(events, job.state in FINISHED_STATES and len(events) < limit)


async def follow(
    admitted: Admitted, signals: JobSignals, sessions: SessionFactory, owner_id: str, job_id: str, after: int
) -> AsyncIterator[EventView]:
    """Events after `after` as they happen, up to the last one. No slot, connection and thread is held in between.

    The stream ends when the database cannot be reached or the process is to end; the client resumes after the last id that it received.
    """
    seen = after

    def read() -> Batch:
        with sessions() as session:
            return read_batch(session, owner_id, job_id, seen, BATCH_EVENTS)

    with signals.watch(job_id) as waiter:
        while True:
            try:
                batch = await admitted.run(read)
            except (DBAPIError, PoolTimeout, Unavailable) as error:
                log.warning("event_stream_interrupted", job_id=job_id, error=str(error))
                return
            for event in batch.events:
                seen = event.id
                yield event
            if batch.is_last or admitted.shutdown.began:
                return
            if len(batch.events) < BATCH_EVENTS:
                await waiter.wait(RECHECK_SECONDS)
