"""The tables of studies: what was asked for, and which job stands for each cell of its grid. Results are the jobs' own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column


class Study(Base):
    """A grid of score jobs. Its state is that of its jobs, so none is written here."""

    __tablename__ = "studies"
    __table_args__ = (
        Index("ix_studies_owner_id_id", "owner_id", "id"),
        Index("ix_studies_untold", "id", postgresql_where=text("end_told_at IS NULL")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # std_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str]
    # The request with its defaults: models, datasets, libraries, concept_counts, library_datasets, sparsity_grids, seeds, protocol,
    # elements, vlm, vocabulary, evolution, deadline_seconds; an extension adds to its lists.
    grid: Mapped[Json]
    created_at: Mapped[datetime] = created_at_column()
    extended_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]  # null again once it is extended
    end_told_at: Mapped[datetime | None]  # when webhooks were told that every job has ended; null again once it is extended


class StudyCell(Base):
    """One place of a study's grid."""

    __tablename__ = "study_cells"
    __table_args__ = (UniqueConstraint("study_id", "request_digest"),)
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 0, 1, 2 … in the order of the grid, extensions behind
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    created: Mapped[bool]  # whether the study answers for the job: it made it rather than found it, or whoever made it was canceled
    request_digest: Mapped[str]  # sha256 of the job's request
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))  # null where the data set holds ready features
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"))
    library: Mapped[int]  # place in the grid's libraries
    concept_count: Mapped[int]  # M as asked for; of a combined library the sum
    library_dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"))
    seed: Mapped[int]
