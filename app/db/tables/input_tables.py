"""Tables of content, uploads, models, data sets and concept sets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Json, created_at_column
from app.db.descriptions import Described, name_index


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
