"""Explain jobs: validation of requests, and reading the rows that a worker has stored."""

from __future__ import annotations

import struct
from itertools import pairwise

from sqlalchemy.orm import Session

from app.batches.repository import BatchRepository
from app.concept_libraries.repository import ConceptLibraryRepository
from app.datasets.multi_label import require_single_label
from app.db.ids import new_id
from app.db.models import Dataset, ExplanationBatch, Job
from app.descriptions import description_columns
from app.errors import ApiError, InvalidInput, NotFound
from app.explanations.service import Explained, explainable_job
from app.jobs.repository import JobRepository
from app.jobs.result_repository import ResultRepository
from app.jobs.service import accept, succeeded_job
from app.settings import Settings
from app.storage import ArtifactStore
from app.uploads.service import require_complete
from iis_engine.errors import SettingError
from iis_engine.nodes import choose_node, sparsity_of
from iis_schemas.jobs.requests import ExplainCreate
from iis_schemas.results.batches import BatchSummary, BatchView, ExplainedRow

OFFSET = struct.Struct("<Q")
NAMED_CLASSES = 5
ROW_BYTES_MAX = 4 << 20
PAGE_BYTES_MAX = 128 << 20


def create_batch(session: Session, owner_id: str, request: ExplainCreate, settings: Settings, request_id: str | None) -> Job:
    """Accept a job of kind explain.

    Raises
    ------
    NotFound
        When the owner has no such job or upload.
    Conflict
        When the job has nothing to explain with, or not yet, or the upload is not complete.
    InvalidInput
        When the curve has no such node, the data set no such class, or images are sent for a job on ready features.
    """
    try:
        explained = explainable_job(session, owner_id, request.job)
    except ApiError as error:
        error.param = "job"
        raise
    scored = JobRepository(session, owner_id).hold(request.job)  # so that it is not deleted before the commit
    if request.upload is not None:
        _require_images(explained)
        require_complete(session, owner_id, request.upload)
    if request.contrast is not None:
        dataset = session.get_one(Dataset, scored.dataset_id)
        require_single_label(dataset, "A contrast", "contrast")
        _require_class(dataset, request.contrast)
    kept, sparsity = _node(session, owner_id, explained, request)
    job = Job(
        id=new_id("job"),
        owner_id=owner_id,
        kind=request.kind,
        spec={**request.model_dump(include={"job", "split", "upload", "top", "contrast"}), "kept": kept, "sparsity": sparsity},
        name=request.name,
        **description_columns(request),
        model_id=scored.model_id,
        dataset_id=scored.dataset_id,
        attempt=0,
        request_id=request_id,
        deadline_seconds=request.deadline_seconds or settings.job_deadline_seconds,
    )
    return accept(session, job, settings)


def finished_batch(session: Session, owner_id: str, job_id: str) -> ExplanationBatch:
    """The stored batch of an explain job that has succeeded.

    Raises
    ------
    NotFound, Conflict
        As `succeeded_job` does.
    """
    job = succeeded_job(session, owner_id, job_id, "explain")
    return BatchRepository(session, owner_id).of_job(job.id)


def show_batch(session: Session, owner_id: str, job: Job) -> BatchView:
    """The result of an explain job that has succeeded."""
    batch = BatchRepository(session, owner_id).of_job(job.id)
    library_id = ResultRepository(session, owner_id).of_job(job.spec["job"]).library_id or ""
    at = f"/v1/jobs/{job.id}"
    links = {
        "self": f"{at}/result",
        "job": at,
        **{name: f"{at}/{name}" for name in ("rows", "rows.jsonl", "rows.parquet")},
        "explained": f"/v1/jobs/{job.spec['job']}",
        "library": f"/v1/concept-libraries/{library_id}",
    }
    return BatchView(
        job=job.id,
        explained=job.spec["job"],
        library=library_id,
        kept=job.spec["kept"],
        sparsity=job.spec["sparsity"],
        summary=BatchSummary.model_validate(batch.summary),
        created_at=batch.created_at,
        links=links,
    )


def read_rows(store: ArtifactStore, batch: ExplanationBatch, after: int | None, limit: int) -> list[ExplainedRow]:
    """Rows after index `after`, one more than `limit`; only their own bytes are read from storage.

    Raises
    ------
    NotFound
        When the stored offsets and rows, which a compute process wrote, are not what it should have written.
    """
    count = batch.summary["count"]
    first = min(0 if after is None else after + 1, count)
    last = min(first + limit + 1, count)
    if first == last:
        return []
    try:
        offsets = _read_offsets(store, batch, first, last)
        lines = store.read_range(batch.jsonl_sha256, offsets[0], offsets[-1])
        cuts = [offset - offsets[0] for offset in offsets]
        return [ExplainedRow.model_validate_json(lines[start:end]) for start, end in pairwise(cuts)]
    except ValueError as error:
        raise NotFound(f"The rows of job {batch.job_id} are damaged; explain its images again.", code="artifact_damaged") from error


def _read_offsets(store: ArtifactStore, batch: ExplanationBatch, first: int, last: int) -> list[int]:
    """Where rows `first` to `last` begin; a ValueError where these are not increasing or too far apart."""
    edges = store.read_range(batch.offsets_sha256, first * OFFSET.size, (last + 1) * OFFSET.size)
    offsets = [offset for (offset,) in OFFSET.iter_unpack(edges[: len(edges) // OFFSET.size * OFFSET.size])]
    if len(offsets) != last + 1 - first or not all(0 < end - start <= ROW_BYTES_MAX for start, end in pairwise(offsets)):
        raise ValueError("offsets are not increasing, missing or too far apart")
    if offsets[-1] - offsets[0] > PAGE_BYTES_MAX:
        raise ValueError("the rows are too long")
    return offsets


def _node(session: Session, owner_id: str, explained: Explained, request: ExplainCreate) -> tuple[int, float]:
    """k and s of the node that the request means."""
    count = ConceptLibraryRepository(session, owner_id).get(explained.library_id).concept_count
    try:
        kept = choose_node(BatchRepository(session, owner_id).nodes(explained.job_id), count, request.kept, sparsity=request.sparsity)
    except SettingError as error:
        raise InvalidInput(str(error), code=error.code, param=error.param) from error
    return kept, sparsity_of(kept, count)


def _require_images(explained: Explained) -> None:
    if explained.no_images is not None:
        raise InvalidInput(f"{explained.no_images} Leave upload out and give split.", code="no_images", param="upload")


def _require_class(dataset: Dataset, name: str) -> None:
    names = (dataset.info or {}).get("class_names")
    if names is not None and name not in names:
        few = ", ".join(names[:NAMED_CLASSES]) + (", …" if len(names) > NAMED_CLASSES else "")
        raise InvalidInput(f"There is no class {name!r}; the classes are {few}.", code="class_unknown", param="contrast")
