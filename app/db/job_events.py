"""Event rows of jobs, totals of them, and their PostgreSQL notifications. `app.db.transitions` decides when to write them.

Final states also create webhook deliveries (`app.db.webhook_events`) and delete the job's tasks in the same transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Text, cast, delete, func, insert, select, text
from sqlalchemy.orm import Session

from app.db.models import FINISHED_STATES, JobEvent, JobTask, Json
from app.db.webhook_events import announce_ends

EVENTS_CHANNEL = "job_events"
# Totals of the events of stages, kept with the job, because events expire (app.db.deletion.retention).
STAGE_SECONDS = (
    "(SELECT coalesce(jsonb_object_agg(stage, seconds), '{}') FROM"
    " (SELECT data ->> 'stage' AS stage, sum((data ->> 'seconds')::double precision) AS seconds FROM job_events"
    " WHERE job_id = jobs.id AND type = 'stage' AND data ->> 'state' = 'finished' AND data ->> 'seconds' IS NOT NULL GROUP BY 1) AS stages)"
)
STAGE_USAGE = (
    "(SELECT coalesce(jsonb_object_agg(stage, to_jsonb(used) - 'stage'), '{}') FROM"
    " (SELECT data ->> 'stage' AS stage,"
    " coalesce(max(data -> 'usage' ->> 'device') FILTER (WHERE data -> 'usage' ->> 'device' <> 'cpu'),"
    " max(data -> 'usage' ->> 'device')) AS device,"
    " max((data -> 'usage' ->> 'peak_memory_bytes')::bigint) AS peak_memory_bytes,"
    " max((data -> 'usage' ->> 'gpu_peak_memory_bytes')::bigint) AS gpu_peak_memory_bytes,"
    " sum((data -> 'usage' ->> 'fetched_bytes')::bigint) AS fetched_bytes,"
    " sum((data -> 'usage' ->> 'stored_bytes')::bigint) AS stored_bytes"
    " FROM job_events WHERE job_id = jobs.id AND type = 'stage' AND data -> 'usage' IS NOT NULL GROUP BY 1) AS used)"
)


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
