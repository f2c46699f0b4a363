"""Tables of studies: the requested grid, and the job of each of its cells. Results are stored with the jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column
from app.db.descriptions import Described, name_index


class Study(Described, Base):
    """Grid of score jobs. Its state follows from its jobs and is not stored."""

    __tablename__ = "studies"
    __table_args__ = (
        Index("ix_studies_owner_id_id", "owner_id", "id"),
        name_index("studies"),
        Index("ix_studies_untold", "id", postgresql_where=text("end_told_at IS NULL")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # std_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str]
    # The request with defaults filled in: models, datasets, libraries, concept_counts, library_datasets, sparsity_grids, seeds, protocol,
    # elements, vlm, vocabulary, evolution, deadline_seconds; extensions append to the lists.
    grid: Mapped[Json]
    webhook_id: Mapped[str | None]  # webhook that the request named; it may be deleted since
    created_at: Mapped[datetime] = created_at_column()
    extended_at: Mapped[datetime | None]  # latest extension
    canceled_at: Mapped[datetime | None]  # reset to null by an extension
    end_told_at: Mapped[datetime | None]  # when the end of all jobs was announced to webhooks; reset to null by an extension


class StudyCell(Base):
    """One cell of a study's grid."""

    __tablename__ = "study_cells"
    __table_args__ = (UniqueConstraint("study_id", "request_digest"),)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 0, 1, 2 … in the order of the grid, then extensions
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    created: Mapped[bool]  # whether the study owns the job: it created it, or took it over from a canceled study
    request_digest: Mapped[str]  # sha256 of the job's request
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)  # null for data sets of ready features
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    library: Mapped[int]  # index in the grid's libraries
    concept_count: Mapped[int]  # requested M; the sum for a combined library
    library_dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    seed: Mapped[int]
