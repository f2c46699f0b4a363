"""Deletion of a job by its owner. `app.db.deletion.job_deletion` has the SQL, `app.db.deletion.retention` deletes jobs by age."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.db.deletion.job_deletion import Referrer, delete_jobs, lock_jobs, lock_planning, referrer_of
from app.db.models import FINISHED_STATES
from app.errors import Conflict
from app.jobs.repository import JobRepository
from app.settings import Settings


def delete_job(session: Session, owner_id: str, job_id: str, settings: Settings) -> None:
    """Delete a finished job with its events, results, figures, concept library and predictors; a model that it trained stays.

    Raises
    ------
    NotFound
    Conflict
        Before the job has finished, and while a study, an explanation or another job needs it; the detail says which.
    """
    jobs = JobRepository(session, owner_id)
    jobs.get(job_id)
    lock_planning(session, owner_id)
    lock_jobs(session, [job_id])
    job = jobs.get(job_id, for_update=True)
    if job.state not in FINISHED_STATES:
        raise Conflict(f"Job {job_id} is {job.state}; cancel it or wait for its end, then delete it.", code="job_unfinished")
    if (referrer := referrer_of(session, job_id)) is not None:
        raise Conflict(f"{_sentence(job_id, referrer)}; delete that first.", code="job_in_use")
    session.expunge(job)
    delete_jobs(session, [job_id], settings.released_artifact_age_seconds)


def _sentence(job_id: str, referrer: Referrer) -> str:
    return {
        "study": f"Job {job_id} is a cell of study {referrer.id}",
        "explanation": f"Job {referrer.id} explains job {job_id}",
        "library": f"Job {referrer.id} uses the concept library of job {job_id}",
    }[referrer.kind]
