"""The internal jobs that look at a new model, data set or concept set before anyone may use it. What they find is written by the worker."""

from __future__ import annotations

from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import ConceptSetVersion, Dataset, Job, Model
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


def enqueue_check(
    session: Session, row: Model | Dataset | ConceptSetVersion, owner_id: str, settings: Settings, request_id: str | None
) -> None:
    """Queue the check of a row in the row's own transaction and ring once that is committed."""
    job = Job(id=new_id("job"), owner_id=owner_id, request_id=request_id, deadline_seconds=settings.check_deadline_seconds)
    if isinstance(row, Model):
        job.kind, job.spec, job.model_id = "check_model", {"model": row.id}, row.id
    elif isinstance(row, Dataset):
        job.kind, job.spec, job.dataset_id = "check_dataset", {"dataset": row.id}, row.id
    else:
        job.kind, job.spec = "check_concept_set", {"concept_set": row.concept_set_id, "version": row.number}
        job.concept_set_id, job.vlm_id, job.dataset_id = row.concept_set_id, row.vlm_id, row.dataset_id
    enqueue(session, job)
    after_commit(session, lambda: ring(job.id, settings.redis_url))
