"""Failed validation jobs: mark the validated model, data set or concept set version as failed."""

from __future__ import annotations

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.db.models import ConceptSetVersion, Dataset, Job, Json, Model


def refuse_checked_row(session: Session, job_id: str, error: Json) -> None:
    """Mark the row that a failed validation job was for as `failed`, in the same transaction; does nothing for other jobs."""
    job = session.execute(select(Job.kind, Job.spec, Job.model_id, Job.dataset_id, Job.concept_set_id).where(Job.id == job_id)).one()
    if job.kind == "check_model":
        table, row = Model, [Model.id == job.model_id]
    elif job.kind == "check_dataset":
        table, row = Dataset, [Dataset.id == job.dataset_id]
    elif job.kind == "check_concept_set":
        table = ConceptSetVersion
        row = [ConceptSetVersion.concept_set_id == job.concept_set_id, ConceptSetVersion.number == job.spec["version"]]
    else:
        return
    session.execute(
        update(table)
        .where(*row, table.state == "pending")
        .values(state="failed", error=error, checked_at=func.now())
        .execution_options(synchronize_session=False)
    )
