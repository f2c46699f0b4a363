"""Events of jobs as answers show them."""

from __future__ import annotations

from app.db.models import JobEvent
from iis_schemas.jobs.events import EventView


def view_of(event: JobEvent) -> EventView:
    """The view of a row."""
    return EventView(id=event.id, job=event.job_id, type=event.type, data=event.data, created_at=event.created_at)
