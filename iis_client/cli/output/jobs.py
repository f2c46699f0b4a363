"""Table of jobs; below it one line per failed or running job."""

from __future__ import annotations

from collections.abc import Sequence

from iis_client.cli.output.listing import Heading, Listing, minute
from iis_client.types.batches import BatchJob
from iis_client.types.finetuning import FinetuneJob
from iis_client.types.scores import FINISHED_STATES, Job, Library, Progress

AnyJob = Job | BatchJob | FinetuneJob
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


def job_table(jobs: Sequence[AnyJob]) -> Listing:
    """One row per job."""
    return Listing("", HEADINGS, [_row(job) for job in jobs], [note for job in jobs if (note := _note(job))])


def _row(job: AnyJob) -> tuple[str, ...]:
    task, protocol, source = _task(job)
    return job["id"], job["state"], task, minute(job["created_at"]), job["model"] or "features", job["dataset"], protocol, source


def _task(job: AnyJob) -> tuple[str, str, str]:
    """Task of a job in a few words, its protocol, and the library or job that it uses."""
    if "library" not in job:
        return "explain", "", job["job"]
    if "seeds" in job:
        return f"fine-tune, {job['library']['kind']} {job['library'].get('concept_count', '')}".rstrip(), "", ""
    library = job["library"]
    return _library(library) or "score", job["protocol"], library.get("id") or ""


def _library(library: Library) -> str:
    if parts := library.get("parts"):
        return " + ".join(map(_library, parts))
    return f"{library.get('kind') or ''} {library.get('concept_count') or ''}".strip()


def _note(job: AnyJob) -> str:
    """Error of a failed job, or progress of a running one."""
    if job["error"] is not None:
        return f"{job['id']} {job['state']}: {job['error']['message']}"
    if job["progress"] is None or job["state"] in FINISHED_STATES:
        return ""
    return f"{job['id']}: stage {_stage(job['progress'])}."


def _stage(progress: Progress) -> str:
    stage = progress["stage"] if progress["part"] is None else f"{progress['stage']}, {progress['part']}"
    return f"{stage} {progress['done']}/{progress['total']}" if progress["total"] else stage
