"""Events of jobs as answers show them."""

from __future__ import annotations

from app.db.models import JobEvent
from app.jobs.stage_titles import with_title
from iis_schemas.jobs.events import EventView


def view_of(event: JobEvent) -> EventView:
    """The view of a row."""
    data = with_title(event.data) if "stage" in event.data else event.data
    return EventView(id=event.id, job=event.job_id, type=event.type, data=data, created_at=event.created_at)
