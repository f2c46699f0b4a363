"""Table of jobs; below it one line per failed or running job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iis_client.cli.output.listing import Heading, Listing, minute

if TYPE_CHECKING:
    from iis_schemas.jobs.libraries import LibraryView
    from iis_schemas.jobs.views import AnyJobView, JobProgress

HEADINGS = (
    Heading("job"),
    Heading("state"),
    Heading("task", wraps=True),
    Heading("created"),
    Heading("model"),
    Heading("data set"),
    Heading("protocol"),
    Heading("library or job"),  # the fitted library that is reused, or the job whose predictions are explained
)


def job_table(jobs: Sequence[AnyJobView]) -> Listing:
    """One row per job."""
    return Listing("", HEADINGS, [_row(job) for job in jobs], [note for job in jobs if (note := _note(job))])


def _row(job: AnyJobView) -> tuple[str, ...]:
    task, protocol, source = _task(job)
    return job.id, job.state, task, minute(job.created_at), job.model or "features", job.dataset, protocol, source


def _task(job: AnyJobView) -> tuple[str, str, str]:
    """Task of a job in a few words, its protocol, and the library or job that it uses."""
    if job.kind == "explain":
        return "explain", "", job.job
    if job.kind == "finetune":
        return f"fine-tune, {_library(job.library)}", "", ""
    return _library(job.library) or "score", job.protocol, job.library.id or ""


def _library(library: LibraryView) -> str:
    """Kind and M of a library, or of each of its parts."""
    return " + ".join(f"{part.kind or ''} {part.concept_count or ''}".strip() for part in library.parts or [library])


def _note(job: AnyJobView) -> str:
    """Error of a failed job, or progress of a running one."""
    if job.error is not None:
        return f"{job.id} {job.state}: {job.error.message}"
    if job.progress is None or job.finished:
        return ""
    return f"{job.id}: stage {_stage(job.progress)}."


def _stage(progress: JobProgress) -> str:
    stage = progress.stage if progress.part is None else f"{progress.stage}, {progress.part}"
    return f"{stage} {progress.done}/{progress.total}" if progress.total else stage
