"""Jobs as answers show them."""

from __future__ import annotations

from app.db.models import Job, Json
from app.db.study_rows import is_near_chance
from app.descriptions import described_fields
from app.jobs.stage_titles import with_title
from iis_schemas.jobs.views import AnyJobView, ExplainJobView, FinetuneJobView, ScoreJobView
from iis_schemas.names import FINISHED_STATES

_VIEWS: dict[str, type[AnyJobView]] = {"score": ScoreJobView, "explain": ExplainJobView, "finetune": FinetuneJobView}
_LINKED: dict[str, tuple[str, ...]] = {
    "score": ("events", "result", "curves", "plots", "explanations", "classes", "concepts", "cancel"),
    "explain": ("events", "result", "rows", "rows.jsonl", "rows.parquet", "cancel"),
    "finetune": ("events", "result", "cancel"),
}


def summary_of(job: Job) -> Json | None:
    """The main numbers of a score; None until it has succeeded."""
    if not job.summary:
        return None
    return {**job.summary, "near_chance": is_near_chance(job.summary)}


def _usage(job: Job) -> Json:
    if job.claimed_at is None:
        return {"queue_seconds": None, "run_seconds": None, "stage_seconds": job.stage_seconds}
    requeued = job.worker is None  # `ran_seconds` then includes the latest claim
    waited_until = (job.finished_at or job.queued_at) if requeued else job.claimed_at
    queued = (waited_until - job.created_at).total_seconds() - job.ran_seconds
    latest = 0.0 if requeued or job.finished_at is None else (job.finished_at - job.claimed_at).total_seconds()
    ran = None if job.finished_at is None else job.ran_seconds + latest
    return {"queue_seconds": max(0.0, queued), "run_seconds": ran, "stage_seconds": job.stage_seconds}


def view_of(job: Job) -> AnyJobView:
    """The view of a row, of the class of its kind."""
    at = f"/v1/jobs/{job.id}"
    related: dict[str, str] = {}
    own: Json = {}
    if job.kind == "score":
        own = {"summary": summary_of(job)}
        related = {"predictors": f"/v1/predictors?job={job.id}"}
    elif job.kind == "explain":
        related = {"explained": f"/v1/jobs/{job.spec['job']}"}
    return _VIEWS[job.kind].model_validate(
        {
            **job.spec,
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "attempt": job.attempt,
            **described_fields(job),
            "model": job.model_id,
            "model_name": job.model_name,
            "dataset": job.dataset_id,
            "dataset_name": job.dataset_name,
            "deadline_seconds": job.deadline_seconds,
            "progress": with_title(job.progress) if job.progress is not None else None,
            "error": job.error,
            "usage": _usage(job),
            "created_at": job.created_at,
            "queued_at": job.queued_at,
            "running_at": job.running_at,
            "canceling_at": job.canceling_at,
            **own,
            **{f"{state}_at": job.finished_at if job.state == state else None for state in FINISHED_STATES},
            "links": {"self": at, **{name: f"{at}/{name}" for name in _LINKED[job.kind]}, **related},
        }
    )
