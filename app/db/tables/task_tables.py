"""Tables of workers, and of the tasks that a running job's stages are divided into."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column
from app.traces import current_traceparent


class Worker(Base):
    """A worker process, which renews its row; it has ended or stopped where the row is outdated."""

    __tablename__ = "workers"
    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # cpu or gpu
    alive_until: Mapped[datetime]


class JobTask(Base):
    """A part of one stage of a running job, which any worker may compute. The row is deleted when the job ends.

    Its result is shards, artifacts of the stage; the row says who computes them, and Redis only carries wake-up messages.
    """

    __tablename__ = "job_tasks"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'done', 'left')", name="state"),
        UniqueConstraint("job_id", "plan", "number"),
        Index("ix_job_tasks_unfinished", "state", "job_id", postgresql_where=text("state IN ('queued', 'running')")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[str]
    plan: Mapped[str]  # digest of everything that the results depend on; the same for all tasks of a stage
    number: Mapped[int]
    spec: Mapped[Json]  # names of shards, settings and artifact keys; no data and no paths
    wants: Mapped[str | None]  # kind of worker, cpu or gpu, while one is alive; null for any
    units: Mapped[int]  # images and elements
    units_done: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    state: Mapped[str] = mapped_column(default="queued", server_default="queued")  # left: to the job's own worker, which joins all parts
    attempt: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # Fencing token of a worker's writes: the job's own token where its worker takes part. Null while queued.
    lease_token: Mapped[str | None]
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]  # name of the worker of the latest attempt
    traceparent: Mapped[str | None] = mapped_column(default=current_traceparent)  # of the stage's span (app.traces)
    created_at: Mapped[datetime] = created_at_column()
    claimed_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
