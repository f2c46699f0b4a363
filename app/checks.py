"""The internal jobs that look at a new model or data set before anyone may use it. What they find is written by the worker."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import Dataset, Job, Model
from app.db.session import after_commit
from app.db.transitions import enqueue
from app.queue import ring
from app.settings import Settings

RETRY_AFTER_SECONDS = 2


class CheckError(BaseModel):
    """Why a check refused it, in one sentence."""

    code: str
    message: str
    param: str | None = None


def enqueue_check(session: Session, row: Model | Dataset, settings: Settings, request_id: str | None) -> None:
    """Queue the check of a row in the row's own transaction and ring once that is committed."""
    kind = "model" if isinstance(row, Model) else "dataset"
    job = Job(
        id=new_id("job"),
        owner_id=row.owner_id,
        kind=f"check_{kind}",
        spec={kind: row.id},
        model_id=row.id if kind == "model" else None,
        dataset_id=row.id if kind == "dataset" else None,
        request_id=request_id,
        deadline_seconds=settings.check_deadline_seconds,
    )
    enqueue(session, job)
    after_commit(session, lambda: ring(job.id, settings.redis_url))
