"""Internal jobs that check a new model, data set or concept set, and the rules for requests that name one. Workers write the findings."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import INTERNAL_JOB_KINDS, ConceptSet, ConceptSetVersion, Dataset, Job, Model
from app.db.session import after_commit
from app.db.transitions import enqueue, request_cancel
from app.errors import Conflict, InvalidInput
from app.queue import wake_worker
from app.quotas.service import require_room_for_validation
from app.settings import Settings
from iis_schemas.uses import UsesView

RETRY_AFTER_SECONDS = 2


def enqueue_check(
    session: Session,
    row: Model | Dataset | ConceptSetVersion,
    owner_id: str,
    settings: Settings,
    request_id: str | None,
    *,
    from_classes: str | None = None,
) -> None:
    """Queue the check of a row in the transaction that adds it; workers are woken after the commit.

    The phrases of a version are gathered `from_classes` of that data set; unless given, the version has them already.

    Raises
    ------
    QuotaExceeded
        When the owner has too many pending ones.
    """
    require_room_for_validation(session, owner_id, settings)
    job = Job(id=new_id("job"), owner_id=owner_id, request_id=request_id, deadline_seconds=settings.check_deadline_seconds)
    if isinstance(row, Model):
        job.kind, job.spec, job.model_id = "check_model", {"model": row.id}, row.id
    elif isinstance(row, Dataset):
        job.kind, job.spec, job.dataset_id = "check_dataset", {"dataset": row.id}, row.id
    else:
        job.kind = "check_concept_set"
        job.deadline_seconds = settings.job_deadline_seconds  # a large text tower may need hours for thousands of phrases on a CPU
        job.spec = {"concept_set": row.concept_set_id, "version": row.number, "from_classes": from_classes is not None}
        job.concept_set_id, job.vlm_id, job.dataset_id = row.concept_set_id, row.vlm_id, from_classes or row.dataset_id
    enqueue(session, job)
    after_commit(session, lambda: wake_worker(job.id, settings.redis_url))


def require_ready(row: Model | Dataset, param: str) -> None:
    """Refuse a request whose field `param` names a model or data set that is not ready.

    Raises
    ------
    Conflict
        While it is still being checked.
    InvalidInput
        When its check refused it.
    """
    noun = _noun(row)
    if row.state == "pending":
        raise Conflict(
            f"{noun} {row.id} is still being checked; send this again when it is ready.",
            code=f"{param}_pending",
            param=param,
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    if row.state == "failed":
        reason = row.error["message"] if row.error else "no reason was recorded."
        raise InvalidInput(f"{noun} {row.id} was refused: {reason}", code=f"{param}_failed", param=param)


def cancel_validations(session: Session, jobs: Iterable[Job]) -> None:
    """Cancel the unfinished validations of a row before it is deleted.

    Call it before the row is locked: workers lock a job before the row that it validates.
    """
    for job in jobs:
        request_cancel(session, job)


def require_unneeded(row: Model | Dataset | ConceptSet, job: Job | None, code: str) -> None:
    """Refuse to delete a row that an unfinished job needs.

    Raises
    ------
    Conflict
        When there is such a job; checks of this row that are not being canceled, or that use it, count too.
    """
    noun = _noun(row)
    if job is None:
        return
    if job.kind not in INTERNAL_JOB_KINDS:
        raise Conflict(f"Job {job.id} still needs {noun.lower()} {row.id}; cancel the job or wait for its end.", code=code)
    by_means_of_it = job.kind == "check_concept_set" and not isinstance(row, ConceptSet)
    busy = f"needed to check concept set {job.concept_set_id}" if by_means_of_it else "being checked"
    raise Conflict(f"{noun} {row.id} is {busy}; delete it afterwards.", code=code, retry_after_seconds=RETRY_AFTER_SECONDS)


def uses_view(counts: dict[str, int], unfinished: Job | None, at: str) -> UsesView:
    """The view of the rows that use a model or data set; its own check, which a deletion cancels, does not count.

    Parameters
    ----------
    unfinished : an unfinished job that needs it, its own check included
    at : its address
    """
    is_own_check = unfinished is not None and unfinished.kind in ("check_model", "check_dataset")
    return UsesView.model_validate({**counts, "deletable": unfinished is None or is_own_check, "links": {"of": at}})


def _noun(row: Model | Dataset | ConceptSet) -> str:
    if isinstance(row, Model):
        return "Model"
    return "Data set" if isinstance(row, Dataset) else "Concept set"
