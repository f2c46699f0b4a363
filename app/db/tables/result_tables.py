"""Tables of job results: concept libraries, reports, curves, figures, predictors, explanations, fine-tuning."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pgvector.sqlalchemy import Vector
from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column
from app.db.descriptions import Described, name_index


class ConceptLibrary(Described, Base):
    __tablename__ = "concept_libraries"
    __table_args__ = (
        Index("ix_concept_libraries_exemplars", text("((settings -> 'exemplars'::text) ->> 'sha256'::text)")),
        name_index("concept_libraries"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)  # lib_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str | None]
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    kind: Mapped[str]  # prototype, cluster, end2end, text, random, combined
    settings: Mapped[Json]  # library of the job's spec, with exemplars
    concept_count: Mapped[int]  # M
    dimension: Mapped[int]  # d
    artifact_key: Mapped[str]  # stage artifact with the complete library
    created_at: Mapped[datetime] = created_at_column()


class Concept(Base):
    __tablename__ = "concepts"
    library_id: Mapped[str] = mapped_column(ForeignKey("concept_libraries.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    origin: Mapped[str]  # kind of the library that it comes from; differs from the library's kind in a combined one
    label: Mapped[str | None]  # phrase or assigned name; null if unnamed
    vector: Mapped[list[float]] = mapped_column(Vector())  # unit length; dimension d of its library
    exemplars: Mapped[list[Any]]  # [{image, box: [left, top, right, bottom], similarity}]
    details: Mapped[Json | None]  # text: group, similarity, clip_top5; a named visual concept: names, margin, named


class DroppedPhrase(Base):
    """Phrase dropped when a text library was fitted."""

    __tablename__ = "dropped_concepts"
    library_id: Mapped[str] = mapped_column(ForeignKey("concept_libraries.id", ondelete="CASCADE"), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    reason: Mapped[str]
    details: Mapped[Json]  # values behind the reason


class Result(Base):
    __tablename__ = "results"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    library_id: Mapped[str | None] = mapped_column(ForeignKey("concept_libraries.id"), index=True)
    report: Mapped[Json]
    concept_metrics: Mapped[list[Any] | None] = mapped_column(JSONB)  # one entry per concept; null in results of the first edition
    created_at: Mapped[datetime] = created_at_column()


class Curve(Base):
    __tablename__ = "curves"
    __table_args__ = (UniqueConstraint("job_id", "name"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # crv_…
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    name: Mapped[str]  # library, isotropic or matched


class CurvePoint(Base):
    __tablename__ = "curve_points"
    curve_id: Mapped[str] = mapped_column(ForeignKey("curves.id", ondelete="CASCADE"), primary_key=True)
    sparsity: Mapped[float] = mapped_column(primary_key=True)  # s; with few concepts, two sparsities can have the same k
    kept: Mapped[int]  # k
    accuracy: Mapped[float]
    accuracy_low: Mapped[float]
    accuracy_high: Mapped[float]
    arr: Mapped[float]
    arr_low: Mapped[float]
    arr_high: Mapped[float]
    arr_chance_corrected: Mapped[float | None]


class Plot(Base):
    __tablename__ = "plots"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)  # arr, accuracy
    format: Mapped[str] = mapped_column(primary_key=True)  # png, svg
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)


class Predictor(Base):
    """Sparse head of a scored job at one node of its curve."""

    __tablename__ = "predictors"
    __table_args__ = (UniqueConstraint("job_id", "kept"),)
    id: Mapped[str] = mapped_column(primary_key=True)  # prd_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"), index=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    kept: Mapped[int]  # k
    sparsity: Mapped[float]  # s
    accuracy: Mapped[float]  # on the test set
    arr: Mapped[float]
    predictors_key: Mapped[str]  # stage artifact with all heads of the job
    tested_key: Mapped[str]  # stage artifact with the test set
    created_at: Mapped[datetime] = created_at_column()


class ExplanationBatch(Base):
    """Output files of a job of kind explain."""

    __tablename__ = "explanation_batches"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    summary: Mapped[Json]  # count, failed, ignored, agreement, accuracies
    jsonl_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    parquet_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    # Byte offset of each line of the JSON Lines file, and of its end.
    offsets_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    created_at: Mapped[datetime] = created_at_column()


class FinetuneResult(Base):
    """Findings of a job of kind finetune and the model that it created."""

    __tablename__ = "finetune_results"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))  # weights of the best treatment run
    findings: Mapped[Json]  # probe, treatment, control, differences, history, words, warnings
    created_at: Mapped[datetime] = created_at_column()


class PostedImage(Base):
    """Image posted for an explanation, kept until `expires_at`."""

    __tablename__ = "posted_images"
    id: Mapped[str] = mapped_column(primary_key=True)  # img_…
    owner_id: Mapped[str] = mapped_column(ForeignKey("owners.id"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    filename: Mapped[str]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)  # original bytes
    created_at: Mapped[datetime] = created_at_column()
    expires_at: Mapped[datetime] = mapped_column(index=True)
