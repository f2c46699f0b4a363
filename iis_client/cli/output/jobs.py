"""Table of jobs; below it one line per failed or running job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from iis_client.cli.output.fields import field_listing
from iis_client.cli.output.listing import Heading, Listing, age, short_ids

if TYPE_CHECKING:
    from iis_schemas.jobs.progress import JobProgress, JobStage, OverallProgress
    from iis_schemas.jobs.usage import JobUsage, StageUsage
    from iis_schemas.jobs.views import AnyJobView
    from iis_schemas.library_views import LibraryView
    from iis_schemas.names import VerdictCode

HEADINGS = (
    Heading("job"),
    Heading("name", wraps=True),
    Heading("data set", wraps=True),
    Heading("IIS"),
    Heading("gain"),  # of IIS over matched directions
    Heading("verdict"),
    Heading("age"),
    Heading("state"),
    Heading("library or job"),  # also the job whose predictions are explained
    Heading("model", wraps=True),
    Heading("tags", wraps=True),
    Heading("protocol"),
)
STAGE_HEADINGS = (
    Heading("stage", wraps=True),
    Heading("state"),
    Heading("share"),
    Heading("expected"),
    Heading("time"),
    Heading("memory"),  # largest of the compute process, and of a GPU
    Heading("tasks"),
    Heading("workers", wraps=True),
)
VERDICT_WORDS: dict[VerdictCode, str] = {
    "reads_through_concepts": "reads through",
    "no_better_than_matched": "like matched",
    "worse_than_any": "worse than any",
    "too_close_to_chance": "near chance",
    "too_few_images": "few images",
    "not_comparable": "not comparable",
}


def job_table(jobs: Sequence[AnyJobView], now: datetime) -> Listing:
    """One row per job. In the place of a verdict: agreement, IIS before fine-tuning, or the state of a job without a result."""
    ids = short_ids([job.id for job in jobs])
    rows = [(ids[job.id], *_cells(job), age(job.created_at, now), *_settings(job)) for job in jobs]
    return Listing("", HEADINGS, rows, [note for job in jobs if (note := _note(job))], lines=False)


def job_view(job: AnyJobView) -> list[Listing]:
    """All fields of a job, and a table of its stages."""
    fields = field_listing(job, without=("stages", "usage.stages", "usage.stage_seconds"))
    return [fields] if not job.stages else [fields, stage_table(job.stages, job.usage)]


def stage_table(stages: Sequence[JobStage], usage: JobUsage | None = None) -> Listing:
    """One row per stage of a job, with its share of the job's expected time, and its largest memory where `usage` has it."""
    used = (usage and usage.stages) or {}
    rows = [
        (
            stage.title,
            stage.state,
            f"{stage.share:.0%}",
            _seconds(stage.expected_seconds),
            _seconds(stage.seconds),
            _memory(used.get(stage.stage)),
            "" if stage.tasks is None else f"{stage.tasks.done}/{stage.tasks.total}",
            ", ".join(stage.workers),
        )
        for stage in stages
    ]
    return Listing("", STAGE_HEADINGS, rows, lines=False)


def overall_words(overall: OverallProgress | None) -> str:
    """How much of a job is done, and the time left over all stages; empty where neither is known."""
    if overall is None:
        return ""
    left = "" if overall.eta_seconds is None else f", {overall.eta_seconds:.0f} s left"
    return f"{overall.share_done:.0%} of the job, {overall.tasks_done} of {overall.tasks_total} tasks{left}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _memory(used: StageUsage | None) -> str:
    sizes = () if used is None else (("", used.peak_memory_bytes), ("GPU ", used.gpu_peak_memory_bytes))
    return ", ".join(f"{place}{size_bytes / 1e9:.1f} GB" for place, size_bytes in sizes if size_bytes)


def _cells(job: AnyJobView) -> tuple[str, ...]:
    """Name, data set, IIS, gain over matched directions, and verdict or state; of other kinds, what the verdict is for a score."""
    name, dataset = job.name or job.model_name or "features", job.dataset_name or job.dataset
    if job.summary is None:
        return name, dataset, "", "", job.state
    if job.kind == "explain":
        return name, dataset, "", "", f"{job.summary.agreement:.1%} agree"
    if job.kind == "finetune":
        return name, dataset, _number(job.summary.iis_after, ".3f"), "", f"was {_number(job.summary.iis_before, '.3f')}"
    summary = job.summary
    verdict = job.state if summary.verdict is None else VERDICT_WORDS[summary.verdict]
    return name, dataset, _number(summary.iis, ".3f"), _number(summary.gain_matched, "+.3f"), verdict


def _settings(job: AnyJobView) -> tuple[str, ...]:
    """State, library or explained job, model, tags and protocol."""
    model, tags = job.model_name or job.model or "", ", ".join(job.tags)
    if job.kind == "explain":
        return job.state, f"explains {job.job}", model, tags, ""
    library = _library(job.library) or job.library.id or ""
    if job.kind == "finetune":
        return job.state, f"fine-tunes, {library}", model, tags, ""
    return job.state, library, model, tags, job.protocol


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _library(library: LibraryView) -> str:
    """Kind and M of a library, or of each of its parts."""
    return " + ".join(f"{part.kind or ''} {part.concept_count or ''}".strip() for part in library.parts or [library])


def _note(job: AnyJobView) -> str:
    """Error of a failed job, or progress of a running one."""
    if job.error is not None:
        return f"{job.id} {job.state}: {job.error.message}"
    if job.progress is None or job.finished:
        return ""
    overall = overall_words(job.progress.overall)
    return f"{job.id}: stage {_stage(job.progress)}{overall and '; '}{overall}."


def _stage(progress: JobProgress) -> str:
    stage = progress.stage if progress.part is None else f"{progress.stage}, {progress.part}"
    return f"{stage} {progress.done}/{progress.total}" if progress.total else stage
