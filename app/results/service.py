"""The rules of results: only a job that succeeded has one, and it never changes."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.batches.service import show_batch
from app.finetuning.service import show_finetune
from app.jobs.repository import JobRepository
from app.jobs.result_repository import ResultRepository
from app.jobs.service import require_succeeded
from iis_schemas.batches import BatchView
from iis_schemas.finetune_results import FinetuneView
from iis_schemas.reports import Report
from iis_schemas.results import ResultView


def read_result(session: Session, owner_id: str, job_id: str) -> ResultView | BatchView | FinetuneView:
    """The report of a job that succeeded; of kind explain, the summary of its rows; of kind finetune, its arms side by side.

    Raises
    ------
    NotFound
        When the owner has no such job.
    Conflict
        As `require_succeeded` does.
    """
    job = require_succeeded(JobRepository(session, owner_id).get(job_id))
    if job.kind == "explain":
        return show_batch(session, owner_id, job)
    if job.kind == "finetune":
        return show_finetune(session, owner_id, job)
    result = ResultRepository(session, owner_id).of_job(job.id)
    at = f"/v1/jobs/{job.id}"
    links = {"self": f"{at}/result", "job": at, "curves": f"{at}/curves", "plots": f"{at}/plots"}
    if result.library_id is not None:
        links["library"] = f"/v1/concept-libraries/{result.library_id}"
    return ResultView(
        job=job.id, library=result.library_id, report=Report.model_validate(result.report), created_at=result.created_at, links=links
    )
