"""The rules of results: only a job that succeeded has one, and it never changes."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.jobs.service import succeeded_job
from app.results.repository import ResultRepository
from app.results.schemas import ResultView


def read_result(session: Session, owner_id: str, job_id: str) -> ResultView:
    """The report of a job that succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    job = succeeded_job(session, owner_id, job_id)
    result = ResultRepository(session, owner_id).of_job(job.id)
    at = f"/v1/jobs/{job.id}"
    links = {"self": f"{at}/result", "job": at, "curves": f"{at}/curves", "plots": f"{at}/plots"}
    if result.library_id is not None:
        links["library"] = f"/v1/concept-libraries/{result.library_id}"
    return ResultView(job=job.id, library=result.library_id, report=result.report, created_at=result.created_at, links=links)
