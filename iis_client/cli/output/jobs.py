"""A list of jobs for a terminal: a row for each, and beneath a line for each that failed or is at work."""

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
    Heading("what", folds=True),
    Heading("made"),
    Heading("model"),
    Heading("data set"),
    Heading("protocol"),
    Heading("through or of"),  # the library it reads through, or the job whose predictions it explains
)


def job_table(jobs: Sequence[AnyJob]) -> Listing:
    """A row for each job."""
    return Listing("", HEADINGS, [_row(job) for job in jobs], [note for job in jobs if (note := _note(job))])


def _row(job: AnyJob) -> tuple[str, ...]:
    what, protocol, of = _what(job)
    return job["id"], job["state"], what, minute(job["created_at"]), job["model"] or "features", job["dataset"], protocol, of


def _what(job: AnyJob) -> tuple[str, str, str]:
    """What a job does in few words, by which protocol, and what it was made from."""
    if "library" not in job:
        return "explains", "", job["job"]
    if "seeds" in job:
        return f"fine-tunes by {job['library']['kind']} {job['library'].get('concept_count', '')}".rstrip(), "", ""
    library = job["library"]
    return _library(library) or "score", job["protocol"], library.get("id") or ""


def _library(library: Library) -> str:
    if parts := library.get("parts"):
        return " + ".join(map(_library, parts))
    return f"{library.get('kind') or ''} {library.get('concept_count') or ''}".strip()


def _note(job: AnyJob) -> str:
    """Why a job failed, or how far it is."""
    if job["error"] is not None:
        return f"{job['id']} {job['state']}: {job['error']['message']}"
    if job["progress"] is None or job["state"] in FINISHED_STATES:
        return ""
    return f"{job['id']} is at {_stage(job['progress'])}."


def _stage(progress: Progress) -> str:
    stage = progress["stage"] if progress["part"] is None else f"{progress['stage']}, {progress['part']}"
    return f"{stage} {progress['done']}/{progress['total']}" if progress["total"] else stage
