"""Tables of jobs, their events, the outputs of their stages, and POSTs with an idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, func, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, query_expression

from app.db.base import Base, Json, created_at_column
from app.db.descriptions import HAS_METADATA, HAS_TAGS, Described
from app.db.tables.input_tables import Dataset, Model
from app.traces import current_traceparent
from iis_schemas.names import JOB_KINDS

PUBLIC_JOB_KINDS = JOB_KINDS
INTERNAL_JOB_KINDS = ("check_model", "check_dataset", "check_concept_set")
# In the words of the index ix_jobs_queued, without which PostgreSQL does not use it.
QUEUED = "state = 'queued'"
IS_NO_VALIDATION = "(\"left\"(kind, 6) <> 'check_'::text)"
# Succeeded score jobs whose worker, of an earlier version, wrote no summary or no board.
UNSUMMARISED = "kind = 'score' AND state = 'succeeded' AND (summary IS NULL OR board IS NULL)"
# Kind of worker that a queued job wants, by a function of migration 0023; `any` where either may be faster.
JOB_WANTS = "job_wants(kind, model_id, spec)"
# Jobs of leaderboards; in the words of the index ix_jobs_board.
ON_A_BOARD = "jobs.board <> ''::text"
# IIS of a job, by which lists are sorted; jobs without one are lowest. In the words of the index ix_jobs_owner_id_iis.
IIS_ORDER = "COALESCE((summary ->> 'iis'::text)::double precision, '-Infinity'::double precision)"


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
        Index(  # by a function of migration 0023; without a list of pending entries, which searches would read
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
        # Retention (app.db.deletion.retention), and the jobs that explain a job (app.db.deletion.job_deletion).
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
