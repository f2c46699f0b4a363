"""Jobs as answers show them."""

from __future__ import annotations

from typing import Any

from app.db.models import Job, Json
from app.db.study_rows import is_near_chance
from app.descriptions import described_fields
from app.jobs.stage_titles import with_title
from iis_schemas.jobs.progress import JobStage
from iis_schemas.jobs.views import AnyJobView, ExplainJobView, FinetuneJobView, ScoreJobView
from iis_schemas.names import FINISHED_STATES

_VIEWS: dict[str, type[AnyJobView]] = {"score": ScoreJobView, "explain": ExplainJobView, "finetune": FinetuneJobView}
_LINKED: dict[str, tuple[str, ...]] = {
    "score": ("events", "result", "curves", "plots", "explanations", "classes", "concepts", "cancel"),
    "explain": ("events", "result", "rows", "rows.jsonl", "rows.parquet", "cancel"),
    "finetune": ("events", "result", "cancel"),
}


def summary_of(job: Job) -> Json | None:
    """The main numbers of a result; None until the job has succeeded."""
    if job.kind == "explain":
        return job.batch_summary
    if job.kind == "finetune":
        return None if job.finetune_numbers is None else _finetune_summary(**job.finetune_numbers)
    if not job.summary:
        return None
    return {**job.summary, "near_chance": is_near_chance(job.summary)}


def _finetune_summary(means: Json, differences: Json) -> Json:
    changes = {"iis_change": "treatment_minus_probe", "iis_over_control": "treatment_minus_control"}
    intervals = {
        f"{name}{end}": differences[pair][value]
        for name, pair in changes.items()
        for end, value in (("", "mean"), ("_low", "low"), ("_high", "high"))
    }
    moments = (("before", "probe"), ("after", "treatment"))
    return {f"{name}_{moment}": means[name][arm] for name in ("accuracy", "iis") for moment, arm in moments} | intervals


def _usage(job: Job) -> Json:
    return {**_seconds(job), "stage_seconds": job.stage_seconds, **_resources(job.stage_usage), "stages": job.stage_usage}


def _resources(stages: Json | None) -> Json:
    """Device, peaks of memory and bytes over all stages; None where no stage measured them."""

    def of_stages(name: str) -> list[Any]:
        return [used[name] for used in (stages or {}).values() if used[name] is not None]

    devices = of_stages("device")
    return {
        "device": next((device for device in devices if device != "cpu"), next(iter(devices), None)),
        **{name: max(of_stages(name), default=None) for name in ("peak_memory_bytes", "gpu_peak_memory_bytes")},
        **{name: sum(of_stages(name)) if stages else None for name in ("fetched_bytes", "stored_bytes")},
    }


def _seconds(job: Job) -> Json:
    if job.claimed_at is None:
        return {"queue_seconds": None, "run_seconds": None}
    requeued = job.worker is None  # `ran_seconds` then includes the latest claim
    waited_until = (job.finished_at or job.queued_at) if requeued else job.claimed_at
    queued = (waited_until - job.created_at).total_seconds() - job.ran_seconds
    latest = 0.0 if requeued or job.finished_at is None else (job.finished_at - job.claimed_at).total_seconds()
    ran = None if job.finished_at is None else job.ran_seconds + latest
    return {"queue_seconds": max(0.0, queued), "run_seconds": ran}


def view_of(job: Job) -> AnyJobView:
    """The view of a row, of the class of its kind."""
    at = f"/v1/jobs/{job.id}"
    related: dict[str, str] = {}
    if job.kind == "score":
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
            "webhook": job.webhook_id,
            "webhook_events": job.webhook_events,
            "error": job.error,
            "usage": _usage(job),
            "created_at": job.created_at,
            "queued_at": job.queued_at,
            "running_at": job.running_at,
            "canceling_at": job.canceling_at,
            "summary": summary_of(job),
            **{f"{state}_at": job.finished_at if job.state == state else None for state in FINISHED_STATES},
            "links": {"self": at, **{name: f"{at}/{name}" for name in _LINKED[job.kind]}, **related},
        }
    )


def full_view_of(job: Job) -> AnyJobView:
    """The view of a row with its stages and its position in the queue, which lists leave out."""
    stages = None if job.stages is None else [_stage(stage, job) for stage in _with_shares(job.stages)]
    return view_of(job).model_copy(update={"stages": stages, "queue_position": job.queue_position})


def _with_shares(stages: list[Json]) -> list[Json]:
    """Stages with the share of the job's time that each is expected to take; those whose output was stored take none."""
    seconds = [0.0 if stage["state"] in ("reused", "skipped") else stage["weight_seconds"] for stage in stages]
    return [{**stage, "share": one / (sum(seconds) or 1.0)} for stage, one in zip(stages, seconds, strict=True)]


def _stage(stage: Json, job: Job) -> JobStage:
    stopped = stage["state"] == "running" and job.state in FINISHED_STATES
    return JobStage.model_validate({**with_title(stage), "state": "stopped" if stopped else stage["state"]})
