"""Jobs: validation of score requests, cancellation, and waiting for the end."""

from __future__ import annotations

from dataclasses import asdict
from time import monotonic
from typing import Literal

from sqlalchemy.orm import Session

from app.concept_libraries.repository import ConceptLibraryRepository
from app.concept_sets.service import require_vocabulary
from app.concept_sets.shipped import is_shipped
from app.datasets.multi_label import require_single_label
from app.datasets.repository import DatasetRepository
from app.db.ids import new_id
from app.db.models import FINISHED_STATES, Dataset, Job, Model
from app.db.session import SessionFactory, after_commit
from app.db.transitions import enqueue, request_cancel
from app.descriptions import describe, description_columns
from app.errors import Conflict, InvalidInput
from app.http.admission.admitted import Admitted
from app.jobs.repository import JobRepository
from app.jobs.signals import JobSignals
from app.jobs.views import full_view_of
from app.models.repository import ModelRepository
from app.models.service import ready_vlm
from app.queue import wake_worker
from app.quotas.service import require_room_for_jobs
from app.settings import Settings
from app.uploads.service import require_complete
from app.validation import require_ready
from iis_schemas.descriptions import OptionalNameUpdate
from iis_schemas.jobs.requests import ScoreCreate
from iis_schemas.jobs.views import AnyJobView

RETRY_AFTER_SECONDS = 2
RECHECK_SECONDS = 15.0  # the longest delay after a lost notification
_OTHER_KIND = {  # by the kind that was needed and the kind that it is
    ("score", "explain"): "Ask for this at the scored job that it explains, {job}.",
    ("score", "finetune"): "Score the model that it made, and ask for this at the score job.",
    ("explain", "score"): "Only a job of kind explain has rows; the explanations of this one are at /explanations.",
    ("explain", "finetune"): "Only a job of kind explain has rows.",
}


def create_job(session: Session, owner_id: str, request: ScoreCreate, settings: Settings, request_id: str | None) -> Job:
    """Accept a job of kind score.

    Raises
    ------
    NotFound
        When the owner has no such model, data set, concept library or concept set.
    Conflict
        While one of them is still being checked.
    InvalidInput
        When one of them was refused, or they do not go together.
    """
    # Locked, so that neither is deleted before the commit.
    dataset = DatasetRepository(session, owner_id).hold(request.dataset)
    model = ModelRepository(session, owner_id).hold(request.model) if request.model is not None else None
    require_fitting(model, dataset, request.vlm)
    if model is not None:
        require_ready(model, "model")
    require_ready(dataset, "dataset")
    if request.protocol == "reference":
        require_single_label(dataset, "The reference protocol", "protocol")
    if request.vlm is not None:
        vlm = ready_vlm(session, owner_id, request.vlm)
        if request.library.asks_native and model is not None:
            require_native(model, vlm)
    if request.library_dataset is not None:
        require_images_to_cut(DatasetRepository(session, owner_id).hold(request.library_dataset), dataset)
    vocabulary = require_vocabulary(session, owner_id, request.vocabulary) if request.vocabulary is not None else None
    if request.library.upload is not None:
        require_complete(session, owner_id, request.library.upload, param="library.upload")
    if request.library.id is not None:
        _require_library(ConceptLibraryRepository(session, owner_id), request.library.id, model, dataset)
    spec = request.to_spec(asdict(vocabulary) if vocabulary is not None else None)
    job = Job(
        id=new_id("job"),
        owner_id=owner_id,
        kind=request.kind,
        spec=spec,
        name=request.name,
        **description_columns(request),
        model_id=request.model,
        dataset_id=request.dataset,
        library_dataset_id=spec["library_dataset"],
        vlm_id=request.vlm,
        concept_set_id=vocabulary.id if vocabulary is not None and not is_shipped(vocabulary.id) else None,
        attempt=0,
        request_id=request_id,
        deadline_seconds=request.deadline_seconds or settings.job_deadline_seconds,
    )
    return accept(session, job, settings)


def accept(session: Session, job: Job, settings: Settings) -> Job:
    """Queue a job; workers are woken when its row is committed.

    Raises
    ------
    QuotaExceeded
        When the owner has too many unfinished ones, or made too many today.
    """
    require_room_for_jobs(session, job.owner_id, 1, settings)
    enqueue(session, job)
    after_commit(session, lambda: wake_worker(job.id, settings.redis_url))
    return job


def cancel_job(session: Session, owner_id: str, job_id: str) -> Job:
    """Cancel a queued job at once, ask a running one to stop; asking again changes nothing.

    Raises
    ------
    Conflict
        When the job has finished.
    """
    job = JobRepository(session, owner_id).get(job_id, for_update=True)
    if job.state in FINISHED_STATES:
        raise Conflict(f"Job {job_id} has finished ({job.state}); only a queued or running job can be canceled.", code="job_finished")
    request_cancel(session, job)
    session.refresh(job)
    return job


def update_job(session: Session, owner_id: str, job_id: str, changes: OptionalNameUpdate) -> Job:
    """Change the description of a job, in any state.

    Raises
    ------
    NotFound
    InvalidInput
        As `describe` does.
    """
    job = JobRepository(session, owner_id).get(job_id, for_update=True)
    describe(job, changes)
    session.flush()
    return job


def succeeded_job(session: Session, owner_id: str, job_id: str, kind: Literal["score", "explain"] = "score") -> Job:
    """A job of that kind that has succeeded.

    Raises
    ------
    Conflict
        For a job of another kind, while it is not finished, and when it failed or was canceled; the detail says why.
    """
    job = JobRepository(session, owner_id).get(job_id)
    if job.kind != kind:
        raise Conflict(f"Job {job_id} is of kind {job.kind}. {_OTHER_KIND[kind, job.kind].format(**job.spec)}", code="other_kind")
    return require_succeeded(job)


def require_succeeded(job: Job) -> Job:
    """The job, if it has succeeded.

    Raises
    ------
    Conflict
        While it is not finished, and when it failed or was canceled; the detail says why.
    """
    if job.state == "succeeded":
        return job
    if job.state == "failed":
        reason = job.error["message"] if job.error else "no reason was recorded."
        raise Conflict(f"Job {job.id} failed, so it has no result: {reason}", code="job_failed")
    if job.state == "canceled":
        raise Conflict(f"Job {job.id} was canceled, so it has no result; submit it again to get one.", code="job_canceled")
    raise Conflict(
        f"Job {job.id} is {job.state}; it has a result when it has succeeded.",
        code="job_unfinished",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


async def wait_until_finished(
    admitted: Admitted, signals: JobSignals, sessions: SessionFactory, owner_id: str, job_id: str, wait_seconds: float
) -> AnyJobView:
    """The job when it has finished, the time is up, or the process is to end; no slot, connection and thread is held while waiting.

    While too many requests wait already, the job is returned at once: `Prefer` states a preference.
    """

    def read() -> AnyJobView:
        with sessions() as session:
            return full_view_of(JobRepository(session, owner_id).get(job_id))

    until = monotonic() + wait_seconds
    if not admitted.begin_wait():
        return await admitted.run(read)
    try:
        with signals.watch(job_id) as waiter:
            while True:
                view = await admitted.run(read)
                left = until - monotonic()
                if view.finished or left <= 0 or admitted.shutdown.began:
                    return view
                await waiter.wait(min(left, RECHECK_SECONDS))
    finally:
        admitted.end_wait()


def require_fitting(model: Model | None, dataset: Dataset, vlm: str | None) -> None:
    """Refuse a model, data set and vlm that do not go together.

    Raises
    ------
    InvalidInput
        A vision-language model to be scored, phrases for ready features, or a model too many or missing.
    """
    if model is not None and model.role == "vlm":
        raise InvalidInput(
            f"Model {model.id} is a vision-language model, which is not scored itself; register its image tower as a backbone:"
            " the same architecture and checkpoint with role backbone.",
            code="backbone_needed",
            param="model",
        )
    if dataset.kind == "features" and vlm is not None:
        raise InvalidInput(
            f"Data set {dataset.id} holds ready features, and phrases are compared with images; give a data set of images,"
            " or leave out vlm and vocabulary.",
            code="images_needed",
            param="dataset",
        )
    if dataset.kind == "features" and model is not None:
        raise InvalidInput(
            f"Data set {dataset.id} holds ready features, which take no model; leave model out.", code="model_not_taken", param="model"
        )
    if dataset.kind != "features" and model is None:
        raise InvalidInput(f"Data set {dataset.id} holds images; name the model that reads them.", code="model_needed", param="model")


def require_images_to_cut(library_dataset: Dataset, dataset: Dataset) -> None:
    """Refuse a library cut from another data set unless both hold images, and that one is ready.

    Raises
    ------
    Conflict
        While it is still being checked.
    InvalidInput
    """
    for one in (dataset, library_dataset):
        if one.kind == "features":
            raise InvalidInput(
                f"Data set {one.id} holds ready features, and a library is cut from images; leave library_dataset out, or score and cut"
                " from data sets of images.",
                code="images_needed",
                param="library_dataset",
            )
    require_ready(library_dataset, "library_dataset")


def require_native(model: Model, vlm: Model) -> None:
    """Refuse a vlm whose architecture differs from the model's; a worker compares the weights.

    Raises
    ------
    InvalidInput
    """
    if model.architecture != vlm.architecture:
        raise InvalidInput(
            f"A native text library reads the vlm's own image tower, and model {model.id} is {model.architecture} where vlm {vlm.id} is"
            f" {vlm.architecture}; register the vlm's own image tower as the model, the same architecture and checkpoint with role"
            " backbone, or leave native out.",
            code="library_not_native",
            param="library.native",
        )


def _require_library(libraries: ConceptLibraryRepository, library_id: str, model: Model | None, dataset: Dataset) -> None:
    library = libraries.hold(library_id)
    if library.model_id != (model.id if model else None):
        fitted_to = f"model {library.model_id}" if library.model_id else "a data set of ready features"
        raise InvalidInput(
            f"Concept library {library_id} was fitted to {fitted_to}; it can only be used with the same.",
            code="library_misfit",
            param="library.id",
        )
    found = ((model or dataset).info or {}).get("num_features")
    if found is not None and found != library.dimension:
        raise InvalidInput(
            f"Concept library {library_id} has vectors of {library.dimension} numbers, but the representation has {found}.",
            code="library_misfit",
            param="library.id",
        )
