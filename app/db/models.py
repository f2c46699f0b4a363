"""The tables. Every row that belongs to a tenant carries `owner_id`; no rules live here, only shape."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column
from app.db.owner_tables import ApiKey, Owner, RetiredSecret
from app.db.result_tables import (
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
from app.db.study_tables import Study, StudyCell
from app.db.webhook_tables import Webhook, WebhookDelivery
from iis_schemas.names import CHECK_STATES, FINISHED_STATES, JOB_KINDS, JOB_STATES

__all__ = [
    "CHECK_STATES",
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
    "Json",
    "Model",
    "Owner",
    "Plot",
    "PostedImage",
    "Predictor",
    "Result",
    "RetiredSecret",
    "StageArtifact",
    "Study",
    "StudyCell",
    "Upload",
    "UploadPart",
    "Webhook",
    "WebhookDelivery",
]
PUBLIC_JOB_KINDS = JOB_KINDS
INTERNAL_JOB_KINDS = ("check_model", "check_dataset", "check_concept_set")


class IdempotencyRecord(Base):
    """One POST by its `Idempotency-Key`; `response_status` is null while the first call is in flight."""

    __tablename__ = "idempotency_records"
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[str]  # sha256 of method, path and body
    response_status: Mapped[int | None]
    response_headers: Mapped[Json | None]
    response_body: Mapped[str | None]
    created_at: Mapped[datetime] = created_at_column()


class Blob(Base):
    """Content held in artifact storage under its sha256."""

    __tablename__ = "blobs"
    sha256: Mapped[str] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = created_at_column()


class Upload(Base):
    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'complete')", name="state"),
        Index(None, "owner_id", "sha256"),
        Index("ix_uploads_sha256", "sha256"),  # by which the collector knows what refers to content
        Index("ix_uploads_expires_at", "expires_at"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # upl_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    filename: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]  # declared by the client, checked against the content on completion
    state: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime]  # when it goes, unless it is complete and something was made of it
    completed_at: Mapped[datetime | None]


class UploadPart(Base):
    __tablename__ = "upload_parts"
    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    created_at: Mapped[datetime] = created_at_column()


class Model(Base):
    __tablename__ = "models"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state"),
        CheckConstraint("role IN ('backbone', 'vlm')", name="role"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # mdl_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    role: Mapped[str] = mapped_column(default="backbone", server_default="backbone")  # backbone, or vlm: images and phrases in one space
    architecture: Mapped[str]  # timm:NAME, torchvision:NAME, open_clip:NAME, onnx
    arguments: Mapped[Json]  # keyword arguments of the architecture
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)
    text_upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)  # the text tower of an onnx pair
    tokenizer: Mapped[str | None]  # of an onnx pair: an open_clip name; null for CLIP's own
    pretrained: Mapped[str | None]
    initial_seed: Mapped[int | None]  # no weights: the architecture as it is initialised from this seed
    layer: Mapped[str | None]
    preprocessing: Mapped[Json | None]  # overrides of the architecture's own
    lineage: Mapped[Json | None]  # of a model that was made by fine-tuning: {job, parent, seed, epoch, weight}
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]  # {code, message, param}
    digest: Mapped[str | None]  # sha256 of the weights and everything that decides the representation
    info: Mapped[Json | None]  # num_features, input_size, preprocessing used, parameter count
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]  # gone for its owner; finished jobs still say what they were about


class Dataset(Base):
    __tablename__ = "datasets"
    __table_args__ = (CheckConstraint("state IN ('pending', 'ready', 'failed')", name="state"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # dst_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str]  # images or features
    upload_id: Mapped[str | None] = mapped_column(ForeignKey("uploads.id"), index=True)
    server_path: Mapped[str | None]
    hub: Mapped[Json | None]  # {name, revision, image_column, label_column}
    split_seed: Mapped[int] = mapped_column(default=0)
    test_share: Mapped[float] = mapped_column(default=0.2)
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]
    digest: Mapped[str | None]
    info: Mapped[Json | None]  # class_names, counts per split and class, corrupt files, how it was split
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class ConceptSet(Base):
    """Phrases under a name; what they are is in its versions, which are never changed once they are ready."""

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
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1, 2, 3 … within its set
    phrases: Mapped[list[Any]]  # [[text, group or null], …]; while pending, those to compare by their embeddings; none if from classes
    dropped: Mapped[list[Any]]  # [{text, reason, other, similarity}]
    state: Mapped[str] = mapped_column(default="pending")
    error: Mapped[Json | None]  # {code, message, param}
    digest: Mapped[str | None]  # sha256 of the phrases, once they are final
    vlm_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))  # whose embeddings find near-duplicates
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"))  # whose class names the phrases keep away from
    created_at: Mapped[datetime] = created_at_column()
    checked_at: Mapped[datetime | None]


class Job(Base):
    """One unit of accepted work. PostgreSQL owns it: this table is the outbox, Redis only rings."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'canceling', 'succeeded', 'failed', 'canceled')", name="state"),
        Index("ix_jobs_owner_id_id", "owner_id", "id"),  # lists are newest first by id, which sorts by time
        Index("ix_jobs_owner_id_claimed_at", "owner_id", "claimed_at"),  # by which owners take turns
        Index("ix_jobs_owner_id_unfinished", "owner_id", postgresql_where=text("state IN ('queued', 'running', 'canceling')")),
        # What the sweeper reads every half minute: only what is not finished.
        Index("ix_jobs_unfinished", "state", "lease_expires_at", postgresql_where=text("state IN ('queued', 'running', 'canceling')")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # job_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str]  # score, explain, finetune; check_model, check_dataset and check_concept_set are internal and never listed
    # The validated request; for score: model, dataset, library, library_dataset, elements, protocol, seed, vlm, vocabulary; for explain:
    # job, split or upload, kept, sparsity, top, contrast; for finetune: model, dataset, library, elements, sparsity, lambda, seeds and the
    # schedule.
    spec: Mapped[Json]
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    library_dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)  # whose images the library is cut from
    vlm_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    concept_set_id: Mapped[str | None] = mapped_column(ForeignKey("concept_sets.id"), index=True)  # its version is in the spec
    state: Mapped[str] = mapped_column(default="queued")
    attempt: Mapped[int] = mapped_column(default=0)
    lease_token: Mapped[str | None]  # the fence: every write of a worker names it
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    progress: Mapped[Json | None]  # {stage, done, total, eta_seconds}
    error: Mapped[Json | None]  # {code, message, param}
    request_id: Mapped[str | None]
    deadline_seconds: Mapped[float]  # of running time, over all attempts
    created_at: Mapped[datetime] = created_at_column()
    queued_at: Mapped[datetime] = created_at_column()
    running_at: Mapped[datetime | None]  # first claim
    claimed_at: Mapped[datetime | None]  # latest claim
    ran_seconds: Mapped[float] = mapped_column(server_default=text("0"))  # of attempts that went back to the queue
    canceling_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEvent(Base):
    __tablename__ = "job_events"
    __table_args__ = (Index("ix_job_events_job_id_id", "job_id", "id"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    type: Mapped[str]  # state, progress, stage, epoch, warning
    data: Mapped[Json]
    created_at: Mapped[datetime] = created_at_column()


class StageArtifact(Base):
    """Output of one stage under the sha256 of everything it depends on; kept per owner so that tenants never meet."""

    __tablename__ = "stage_artifacts"
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str]
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    created_at: Mapped[datetime] = created_at_column()
    used_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)  # to within an hour; what nobody uses goes
