"""Run one attempt at a job: claim it, run it, and end it exactly once."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from opentelemetry.trace import SpanKind
from sqlalchemy.exc import SQLAlchemyError

from app.db import transitions
from app.db.job_rows import CancelRequested, LeaseLost
from app.db.models import Json
from app.db.scheduling import next_queued_job
from app.db.session import is_outage
from app.queue import wake_worker
from app.storage import StorageUnavailable
from app.traces import mark_failed, span
from worker.jobs.attempt import Attempt
from worker.jobs.explain import run_explain
from worker.jobs.finetune import run_finetune
from worker.jobs.lease import JobLease, LeaseKeeper
from worker.jobs.score import run_score
from worker.jobs.sharing.helping import help_running_job
from worker.jobs.validation import run_check_concept_set, run_check_dataset, run_check_model
from worker.metrics import JOBS_ENDED
from worker.runtime import Runtime
from worker.sandbox.outcomes import ChildLost, DeadlinePassed, Interrupted, StageRefused
from worker.sandbox.resource_limits import LimitExceeded
from worker.sandbox.watch import Stop

KINDS: dict[str, Callable[[Attempt], None]] = {
    "score": run_score,
    "explain": run_explain,
    "finetune": run_finetune,
    "check_model": run_check_model,
    "check_dataset": run_check_dataset,
    "check_concept_set": run_check_concept_set,
}

RETRY_PAUSE_FACTOR = 4  # after each lost attempt

log = structlog.get_logger(__name__)


def run_queued_jobs(runtime: Runtime) -> None:
    """Run queued jobs until none is left, taking turns between owners, then tasks of running jobs; neither needs a message of its own."""
    while not runtime.shutting_down.is_set():
        if (job_id := _next_queued(runtime)) is not None:
            run_job(runtime, job_id)
        elif not help_running_job(runtime):
            return


def _next_queued(runtime: Runtime) -> str | None:
    try:
        with runtime.sessions.begin() as session:
            return next_queued_job(session, runtime.kind)
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", error=str(error))
        return None


def run_job(runtime: Runtime, job_id: str) -> str | None:
    """Run one attempt at a queued job; returns how it ended, or None when the job is finished, running or unknown."""
    try:
        with runtime.sessions.begin() as session:
            token = transitions.claim(session, job_id, runtime.name, runtime.settings.lease_seconds)
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", job_id=job_id, error=str(error))
        return None
    if token is None:
        return None
    with structlog.contextvars.bound_contextvars(job_id=job_id), runtime.running_job() as stop:
        with LeaseKeeper(runtime.sessions, runtime.settings, JobLease(job_id, token), stop):
            try:
                kind, end = _run_claimed(runtime, job_id, token, stop)
            except (LeaseLost, Interrupted, SQLAlchemyError) as error:  # the sweeper queues the job again
                if isinstance(error, SQLAlchemyError) and not is_outage(error):
                    raise
                runtime.child.kill()
                kind, end = "unknown", "lease_lost"
                log.warning("lease_lost", error=str(error))
        JOBS_ENDED.labels(kind, end).inc()
        log.info("attempt_ended", end=end)
    return end


def _run_claimed(runtime: Runtime, job_id: str, token: str, stop: Stop) -> tuple[str, str]:
    attempt = Attempt(runtime, job_id, token, stop)
    job = attempt.rows.job
    kind, about = job.kind, {"iis.job.id": job_id, "iis.job.attempt": job.attempt, "iis.worker": runtime.name}
    with attempt, span(f"job {kind}", about, parent=job.traceparent, kind=SpanKind.CONSUMER) as opened:
        log.info("attempt_started", kind=kind, attempt=job.attempt)
        try:
            end = _run_to_end(attempt)
        except CancelRequested:
            runtime.child.kill()
            attempt.end(lambda session: transitions.finish_cancel(session, job_id, token))  # before the folder, which may be large
            end = "canceled"
        opened.set_attribute("iis.job.end", end)
        if end == "failed":
            mark_failed(opened, "job_failed")
    return kind, end


def _run_to_end(attempt: Attempt) -> str:
    try:
        attempt.make_folder()
        KINDS[attempt.rows.job.kind](attempt)
    except (StageRefused, LimitExceeded, DeadlinePassed) as error:
        return _fail(attempt, _final_error(attempt, error))
    except Interrupted:
        return _stop(attempt)
    except (LeaseLost, CancelRequested):
        raise
    except Exception as error:
        if isinstance(error, SQLAlchemyError) and is_outage(error):
            raise
        return _retry(attempt, error)
    return "succeeded"


def _stop(attempt: Attempt) -> str:
    reason = attempt.stop.reason
    if reason == "canceling":
        raise CancelRequested(attempt.job_id)
    if reason != "shutdown":
        raise LeaseLost(attempt.job_id)

    attempt.end(lambda session: transitions.requeue(session, attempt.job_id, attempt.token))
    wake_worker(attempt.job_id, attempt.runtime.settings.redis_url)
    return "requeued"


def _fail(attempt: Attempt, error: Json) -> str:
    attempt.end(lambda session: transitions.fail(session, attempt.job_id, attempt.token, error))
    return "failed"


def _retry(attempt: Attempt, error: Exception) -> str:
    settings = attempt.runtime.settings
    log.warning("attempt_lost", error=str(error), exc_info=not isinstance(error, ChildLost))
    number = attempt.rows.job.attempt
    if isinstance(error, StorageUnavailable | OSError) and number < settings.max_attempts:
        pause_seconds = settings.retry_pause_seconds * RETRY_PAUSE_FACTOR ** (number - 1)  # enough for a restart of the storage
        attempt.stop.event.wait(pause_seconds)
    last_error = _retryable_error(error)
    state = attempt.end(
        lambda session: transitions.give_up_attempt(session, attempt.job_id, attempt.token, last_error, settings.max_attempts)
    )
    if state == "queued":
        wake_worker(attempt.job_id, settings.redis_url)
    return state


def _final_error(attempt: Attempt, error: Exception) -> Json:
    """The error of a job that would fail the same way on another attempt."""
    if isinstance(error, StageRefused):
        return error.error
    if isinstance(error, LimitExceeded):
        return _error(error.code, str(error))
    seconds = attempt.rows.job.deadline_seconds
    return _error("deadline_exceeded", f"The job did not finish within its deadline of {seconds:g} seconds.")


def _retryable_error(error: Exception) -> Json:
    """The error of a lost attempt; it becomes the job's error when no attempt is left."""
    if isinstance(error, ChildLost):
        return _error("compute_lost", f"{error} No attempt is left.")
    if isinstance(error, StorageUnavailable | OSError):
        return _error("storage_unavailable", f"The service's storage failed on every attempt. {error}")
    return _error("internal_error", "Internal error. Please report this job id; details are in the worker's log.")


def _error(code: str, message: str) -> Json:
    return {"code": code, "message": message, "param": None}
