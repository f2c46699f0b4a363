"""Event rows of jobs and their PostgreSQL notifications. `app.db.transitions` decides when to write them.

Final states also create webhook deliveries in the same transaction (`app.db.webhook_events`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Text, cast, func, insert, select, text
from sqlalchemy.orm import Session

from app.db.models import JobEvent, Json
from app.db.webhook_events import announce_ends

EVENTS_CHANNEL = "job_events"


def record_state(session: Session, job_id: str, state: str, *, attempt: int, **more: Any) -> None:
    """Insert a state event, notify listeners and create webhook deliveries."""
    data = {"state": state, "attempt": attempt, **more}
    insert_event(session, job_id, "state", data)
    announce_ends(session, {job_id: data})


def record_states(session: Session, data_by_job: dict[str, Json]) -> None:
    """Insert the state events of many jobs and create webhook deliveries; sends no notification."""
    if data_by_job:
        events = [{"job_id": job_id, "type": "state", "data": data} for job_id, data in data_by_job.items()]
        session.execute(insert(JobEvent).returning(JobEvent.id), events)
        announce_ends(session, data_by_job)


def insert_event(session: Session, job_id: str, kind: str, data: Json) -> None:
    """Insert an event and notify listeners, which PostgreSQL does on commit."""
    session.add(JobEvent(job_id=job_id, type=kind, data=data))
    session.flush()
    session.execute(text("SELECT pg_notify(:channel, :job_id)"), {"channel": EVENTS_CHANNEL, "job_id": job_id})


def notify_all(session: Session, job_ids: list[str]) -> None:
    """Notify the listeners of many jobs."""
    session.execute(select(func.pg_notify(EVENTS_CHANNEL, func.unnest(cast(job_ids, ARRAY(Text))))))
