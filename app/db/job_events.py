"""Event rows of jobs and their PostgreSQL notifications. `app.db.transitions` decides when to write them.

Final states also create webhook deliveries (`app.db.webhook_events`) and delete the job's tasks in the same transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Text, cast, delete, func, insert, select, text
from sqlalchemy.orm import Session

from app.db.models import FINISHED_STATES, JobEvent, JobTask, Json
from app.db.webhook_events import announce_ends

EVENTS_CHANNEL = "job_events"


def record_state(session: Session, job_id: str, state: str, *, attempt: int, **more: Any) -> None:
    """Insert a state event and notify listeners; for a final state, create webhook deliveries and delete the job's tasks."""
    data = {"state": state, "attempt": attempt, **more}
    insert_event(session, job_id, "state", data)
    _end(session, {job_id: data})


def record_states(session: Session, data_by_job: dict[str, Json]) -> None:
    """`record_state` for many jobs, but without notifications."""
    if data_by_job:
        events = [{"job_id": job_id, "type": "state", "data": data} for job_id, data in data_by_job.items()]
        session.execute(insert(JobEvent).returning(JobEvent.id), events)
        _end(session, data_by_job)


def _end(session: Session, data_by_job: dict[str, Json]) -> None:
    ended = [job_id for job_id, data in data_by_job.items() if data["state"] in FINISHED_STATES]
    if ended:
        session.execute(delete(JobTask).where(JobTask.job_id.in_(ended)).execution_options(synchronize_session=False))
    announce_ends(session, data_by_job)


def insert_event(session: Session, job_id: str, kind: str, data: Json) -> None:
    """Insert an event and notify listeners, which PostgreSQL does on commit."""
    session.add(JobEvent(job_id=job_id, type=kind, data=data))
    session.flush()
    session.execute(text("SELECT pg_notify(:channel, :job_id)"), {"channel": EVENTS_CHANNEL, "job_id": job_id})


def notify_all(session: Session, job_ids: list[str]) -> None:
    """Notify the listeners of many jobs."""
    session.execute(select(func.pg_notify(EVENTS_CHANNEL, func.unnest(cast(job_ids, ARRAY(Text))))))
