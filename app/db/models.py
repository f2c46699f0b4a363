"""Tables of uploads, models, data sets, concept sets, jobs and stage outputs; exports all tables. Rows of a tenant have `owner_id`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, query_expression

from app.db.base import Base, Json, created_at_column
from app.db.descriptions import HAS_METADATA, HAS_TAGS, Described, name_index
from app.db.tables.owner_tables import ApiKey, Owner, RetiredSecret
from app.db.tables.result_tables import (
    Concept,
    ConceptLibrary,
    Curve,
    CurvePoint,
    DroppedPhrase,
    ExplanationBatch,
    FinetuneResult,
    Plot,
    PostedImage,
    Predictor,
    Result,
)
from app.db.tables.share_tables import Share
from app.db.tables.study_tables import Study, StudyCell
from app.db.tables.task_tables import JobTask, Worker
from app.db.tables.webhook_tables import Webhook, WebhookDelivery
from app.traces import current_traceparent
from iis_schemas.names import FINISHED_STATES, JOB_KINDS, JOB_STATES

__all__ = [
    "FINISHED_STATES",
    "INTERNAL_JOB_KINDS",
    "JOB_STATES",
    "PUBLIC_JOB_KINDS",
    "ApiKey",
    "Base",
    "Blob",
    "Concept",
    "ConceptLibrary",
    "ConceptSet",
    "ConceptSetVersion",
    "Curve",
    "CurvePoint",
    "Dataset",
    "DroppedPhrase",
    "ExplanationBatch",
    "FinetuneResult",
    "IdempotencyRecord",
    "Job",
    "JobEvent",
    "JobTask",
    "Json",
    "Model",
    "Owner",
    "Plot",
    "PostedImage",
    "Predictor",
    "Result",
    "RetiredSecret",
    "Share",
    "StageArtifact",
    "Study",
    "StudyCell",
    "Upload",
    "UploadPart",
    "Webhook",
    "WebhookDelivery",
    "Worker",
]
PUBLIC_JOB_KINDS = JOB_KINDS
INTERNAL_JOB_KINDS = ("check_model", "check_dataset", "check_concept_set")
# In the words of the index ix_jobs_queued, without which PostgreSQL does not use it.
QUEUED = "state = 'queued'"
IS_NO_VALIDATION = "(\"left\"(kind, 6) <> 'check_'::text)"
# Succeeded score jobs whose worker, of an earlier version, wrote no summary or no board.
UNSUMMARISED = "kind = 'score' AND state = 'succeeded' AND (summary IS NULL OR board IS NULL)"
# Kind of worker that a queued job wants, by a function of migration 0024; `any` where either may be faster.
JOB_WANTS = "job_wants(kind, model_id, spec)"
# Jobs of leaderboards; in the words of the index ix_jobs_board.
ON_A_BOARD = "jobs.board <> ''::text"
# IIS of a job, by which lists are sorted; jobs without one are lowest. In the words of the index ix_jobs_owner_id_iis.
IIS_ORDER = "COALESCE((summary ->> 'iis'::text)::double precision, '-Infinity'::double precision)"


class IdempotencyRecord(Base):
    """One POST with an `Idempotency-Key`; `response_status` is null while the first request is in flight."""

    __tablename__ = "idempotency_records"
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]  # sha256 of method, path and body
    response_status: Mapped[int | None]
    response_headers: Mapped[Json | None]
    response_body: Mapped[str | None]
    created_at: Mapped[datetime] = created_at_column()


class Blob(Base):
    """Content in artifact storage under its sha256."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = created_at_column()


class Upload(Base):
    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'complete')", name="state"),
        Index(None, "owner_id", "sha256"),
        Index("ix_uploads_sha256", "sha256"),  # garbage collection looks up references to content
        Index("ix_uploads_expires_at", "expires_at"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # upl_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    filename: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]  # declared by the client, verified on completion
    state: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime]  # deletion time, unless it is complete and another row refers to it
    completed_at: Mapped[datetime | None]


class UploadPart(Base):
    __tablename__ = "upload_parts"
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    created_at: Mapped[datetime] = created_at_column()


class Model(Described, Base):
    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state"),
        CheckConstraint("role IN ('backbone', 'vlm')", name="role"),
        name_index("models"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # mdl_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(default="backbone", server_default="backbone")  # backbone, or vlm (vision-language model)
    architecture: Mapped[str]  # timm:NAME, torchvision:NAME, open_clip:NAME, hf:ORG/NAME, transformers, onnx
    arguments: Mapped[Json]  # keyword arguments of the architecture's constructor
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)
    text_upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)  # text tower of an onnx pair
    tokenizer: Mapped[str | None]  # of an onnx pair: an open_clip name; null for CLIP's tokenizer
    pretrained: Mapped[str | None]  # tag of pretrained weights; null for uploaded or random weights
    weights_of: Mapped[str | None]  # tag of the published weights that an upload comes from; null if unknown
    initial_seed: Mapped[int | None]  # seed of random initial weights; null for trained models
    layer: Mapped[str | None]  # layer of the representation; null for the features before the classifier
    pooling: Mapped[str | None]  # of a named layer: class, patches, all or map; null for all tokens but registers
    preprocessing: Mapped[Json | None]  # overrides of the architecture's preprocessing
    lineage: Mapped[Json | None]  # {job, parent, seed, epoch, weight} of a fine-tuned model; null for others
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]  # {code, message, param}; null unless failed
    digest: Mapped[str | None]  # sha256 of everything that determines the representation; null until ready
    info: Mapped[Json | None]  # num_features, input_size, preprocessing, parameter count, notes; null until ready
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]  # hidden from its owner since; finished jobs still refer to it


class Dataset(Described, Base):
    __tablename__ = "datasets"
    __table_args__ = (CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state"), name_index("datasets"))
    id: Mapped[str] = mapped_column(primary_key=True)  # dst_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str]  # images or features
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)
    server_path: Mapped[str | None]
    hub: Mapped[Json | None]  # {name, revision, image_column, label_column}
    manifest: Mapped[Json | None]  # {upload, path, path_column, label_column, split_column}
    manifest_upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)  # a table beside the images
    split_seed: Mapped[int] = mapped_column(default=0)  # of the split into training and test set
    test_share: Mapped[float] = mapped_column(default=0.2)  # share of test images, 0 to 1
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]
    digest: Mapped[str | None]
    info: Mapped[Json | None]  # class_names, counts by split and class, corrupt files, warnings, notes; null until ready
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class ConceptSet(Base):
    """Named set of phrases. The phrases are in its versions, which are immutable once ready."""

    __tablename__ = "concept_sets"
    id: Mapped[str] = mapped_column(primary_key=True)  # cst_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    created_at: Mapped[datetime] = created_at_column()
    deleted_at: Mapped[datetime | None]


class ConceptSetVersion(Base):
    __tablename__ = "concept_set_versions"
    __table_args__ = (CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state"),)
    concept_set_id: Mapped[str] = mapped_column(ForeignKey("concept_sets.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, 3 … within the set
    phrases: Mapped[list[Any]]  # [[text, group or null], …]; while pending, unfiltered, or empty if generated from classes
    dropped: Mapped[list[Any]]  # [{text, reason, other, similarity}]
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]  # {code, message, param}; null unless failed
    digest: Mapped[str | None]  # sha256 of the final phrases; null until ready
    vlm_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))  # text encoder for near-duplicates; null for no such filter
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"))  # phrases with its class names are dropped; null for none
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]


class Job(Described, Base):
    """One accepted job. This table is the queue and the outbox; Redis only carries wake-up messages."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'canceling', 'succeeded', 'failed', 'canceled')", name="state"),
        Index("ix_jobs_owner_id_id", "owner_id", "id"),  # lists are newest first; ids sort by time
        Index("ix_jobs_owner_id_claimed_at", "owner_id", "claimed_at"),  # round-robin over owners
        Index("ix_jobs_owner_id_unfinished", "owner_id", postgresql_where=text("state IN ('queued', 'running', 'canceling')")),
        Index("ix_jobs_owner_id_iis", "owner_id", text(IIS_ORDER), "id"),
        Index("ix_jobs_board", "owner_id", "board", "dataset_id", "model_id", postgresql_where=text("board <> ''::text")),
        # Lists by a state or a kind that few of an owner's jobs have.
        Index("ix_jobs_owner_id_unsuccessful", "owner_id", "state", "id", postgresql_where=text("state IN ('failed', 'canceled')")),
        Index("ix_jobs_owner_id_other_kind", "owner_id", "kind", "id", postgresql_where=text("kind <> 'score'::text")),
        Index(  # by a function of migration 0024; without a list of pending entries, which searches would read
            "ix_jobs_name_ngrams", text("name_ngrams(name, 1)"), postgresql_using="gin", postgresql_with={"fastupdate": "off"}
        ),
        Index("ix_jobs_tags", "tags", postgresql_using="gin", postgresql_where=text(HAS_TAGS)),
        Index(
            "ix_jobs_user_metadata",
            "user_metadata",
            postgresql_using="gin",
            postgresql_ops={"user_metadata": "jsonb_path_ops"},
            postgresql_where=text(HAS_METADATA),
        ),
        # Succeeded score jobs without a summary (app.db.lists.job_summaries).
        Index("ix_jobs_unsummarised", "id", postgresql_where=text(UNSUMMARISED)),
        # The first job of each owner with queued jobs (app.db.scheduling).
        Index("ix_jobs_queued", "owner_id", text(IS_NO_VALIDATION), "queued_at", "id", postgresql_where=text(QUEUED)),
        Index(
            *("ix_jobs_queued_wants", "owner_id", text(JOB_WANTS), text(IS_NO_VALIDATION), "queued_at", "id"),
            postgresql_where=text(QUEUED),
        ),
        # Retention (app.db.retention), and the jobs that explain a job (app.db.job_deletion).
        Index("ix_jobs_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_jobs_explained", text("(spec ->> 'job'::text)"), postgresql_where=text("kind = 'explain'")),
        # Read by the sweeper every few seconds.
        Index("ix_jobs_unfinished", "state", "lease_expires_at", postgresql_where=text("state IN ('queued', 'running', 'canceling')")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # job_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str]  # score, explain, finetune; internal and never listed: check_model, check_dataset, check_concept_set
    # The validated request; for score: model, dataset, library, library_dataset, elements, protocol, seed, vlm, vocabulary; for explain:
    # job, split or upload, kept, sparsity, top, contrast; for finetune: model, dataset, library, elements, sparsity, lambda, seeds and the
    # schedule.
    spec: Mapped[Json]
    name: Mapped[str | None]
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    # Names of rows that may be deleted since; loaded where app.jobs.repository asks for them.
    model_name: Mapped[str | None] = column_property(
        select(Model.name).where(Model.id == model_id).correlate_except(Model).scalar_subquery(), deferred=True
    )
    dataset_name: Mapped[str | None] = column_property(
        select(Dataset.name).where(Dataset.id == dataset_id).correlate_except(Dataset).scalar_subquery(), deferred=True
    )
    # Data set of the library's images; null for the scored data set.
    library_dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    vlm_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    concept_set_id: Mapped[str | None] = mapped_column(ForeignKey("concept_sets.id"), index=True)  # the version is in the spec
    state: Mapped[str] = mapped_column(default="queued")
    attempt: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None]  # fencing token of a worker's writes; null unless leased
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]  # name of the worker of the latest attempt; null while queued
    progress: Mapped[Json | None]  # {stage, done, total, eta_seconds, overall} of the latest report
    # Of the latest attempt, in order, each with state, size, seconds and workers (worker.jobs.progress.stage_list); null before it.
    stages: Mapped[list[Any] | None] = mapped_column(deferred=True)
    queue_position: Mapped[int | None] = query_expression()  # see app.db.scheduling; null unless queued and asked for
    # Webhook that the request named, and the events sent there, null for all. No foreign key: the webhook may be deleted since.
    webhook_id: Mapped[str | None]
    webhook_events: Mapped[list[Any] | None]
    error: Mapped[Json | None]  # {code, message, param}; null unless failed
    summary: Mapped[Json | None]  # numbers of the report that lists show (app.db.lists.job_summaries); null until a score has succeeded
    # Numbers of the results of explain and finetune jobs that lists show; null where not asked for (app.jobs.repository).
    batch_summary: Mapped[Json | None] = query_expression()
    finetune_numbers: Mapped[Json | None] = query_expression()
    # Digest of the settings that a leaderboard compares, empty for a job on none; null until a score has succeeded.
    board: Mapped[str | None]
    request_id: Mapped[str | None]  # of the request that created it
    traceparent: Mapped[str | None] = mapped_column(default=current_traceparent)  # of that request's span (app.traces)
    deadline_seconds: Mapped[float]  # limit of the running time over all attempts
    created_at: Mapped[datetime] = created_at_column()
    queued_at: Mapped[datetime] = created_at_column()
    running_at: Mapped[datetime | None]  # first claim
    claimed_at: Mapped[datetime | None]  # latest claim
    ran_seconds: Mapped[float] = mapped_column(server_default=text("0"))  # running time of attempts that were queued again
    stage_seconds: Mapped[Json | None]  # running time by stage, over all attempts; null until the job has ended
    stage_usage: Mapped[Json | None]  # device, peaks of memory and bytes by stage, over all attempts; null until the job has ended
    canceling_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEvent(Base):
    __tablename__ = "job_events"
    __table_args__ = (
        Index("ix_job_events_job_id_id", "job_id", "id"),
        Index("ix_job_events_expiring", "created_at", postgresql_where=text("type <> 'state'")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    type: Mapped[str]  # state, progress, stage, epoch, warning
    data: Mapped[Json]
    created_at: Mapped[datetime] = created_at_column()


class StageArtifact(Base):
    """Output of one stage. `key` is the sha256 of all its inputs; rows are per owner, so tenants share no outputs."""

    __tablename__ = "stage_artifacts"
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str]
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    created_at: Mapped[datetime] = created_at_column()
    used_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)  # resolution of an hour; unused outputs are deleted
