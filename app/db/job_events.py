"""The rows that tell what happened to jobs, and the notifications of them. When to write which: `app.db.transitions`.

Ends are told to webhooks too, in the same transaction (`app.db.webhook_events`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Text, cast, func, insert, select, text
from sqlalchemy.orm import Session

from app.db.models import JobEvent, Json
from app.db.webhook_events import announce_ends

EVENTS_CHANNEL = "job_events"


def record_state(session: Session, job_id: str, state: str, *, attempt: int, **more: Any) -> None:
    """Say that a job is in a state now."""
    data = {"state": state, "attempt": attempt, **more}
    insert_event(session, job_id, "state", data)
    announce_ends(session, {job_id: data})


def record_states(session: Session, told: dict[str, Json]) -> None:
    """The events of many jobs, without a notification."""
    if told:
        events = [{"job_id": job_id, "type": "state", "data": data} for job_id, data in told.items()]
        session.execute(insert(JobEvent).returning(JobEvent.id), events)
        announce_ends(session, told)


def insert_event(session: Session, job_id: str, kind: str, data: Json) -> None:
    """Append an event and tell listeners, who hear of it with the commit."""
    session.add(JobEvent(job_id=job_id, type=kind, data=data))
    session.flush()
    session.execute(text("SELECT pg_notify(:channel, :job_id)"), {"channel": EVENTS_CHANNEL, "job_id": job_id})


def notify_all(session: Session, job_ids: list[str]) -> None:
    """Tell the listeners of many jobs that something happened to them."""
    session.execute(select(func.pg_notify(EVENTS_CHANNEL, func.unnest(cast(job_ids, ARRAY(Text))))))
