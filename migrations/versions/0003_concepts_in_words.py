"""Text concepts: concept sets, vision-language models, details of each concept, and dropped phrases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("role", sa.Text(), server_default="backbone", nullable=False))
    op.add_column("models", sa.Column("text_upload_id", sa.Text(), nullable=True))
    op.add_column("models", sa.Column("tokenizer", sa.Text(), nullable=True))
    op.create_check_constraint(op.f("ck_models_role"), "models", "role IN ('backbone', 'vlm')")
    op.create_foreign_key(op.f("fk_models_text_upload_id"), "models", "uploads", ["text_upload_id"], ["id"])
    op.create_table(
        "concept_sets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_concept_sets_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_concept_sets")),
    )
    op.create_index(op.f("ix_concept_sets_owner_id"), "concept_sets", ["owner_id"], unique=False)
    op.create_table(
        "concept_set_versions",
        sa.Column("concept_set_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("phrases", JSONB(), nullable=False),
        sa.Column("dropped", JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.Column("vlm_id", sa.Text(), nullable=True),
        sa.Column("dataset_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('pending', 'ready', 'failed')", name=op.f("ck_concept_set_versions_state")),
        sa.ForeignKeyConstraint(["concept_set_id"], ["concept_sets.id"], name=op.f("fk_concept_set_versions_concept_set_id")),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_concept_set_versions_dataset_id")),
        sa.ForeignKeyConstraint(["vlm_id"], ["models.id"], name=op.f("fk_concept_set_versions_vlm_id")),
        sa.PrimaryKeyConstraint("concept_set_id", "number", name=op.f("pk_concept_set_versions")),
    )
    op.add_column("jobs", sa.Column("vlm_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("concept_set_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_jobs_vlm_id"), "jobs", "models", ["vlm_id"], ["id"])
    op.create_foreign_key(op.f("fk_jobs_concept_set_id"), "jobs", "concept_sets", ["concept_set_id"], ["id"])
    op.create_index(op.f("ix_jobs_vlm_id"), "jobs", ["vlm_id"], unique=False)
    op.create_index(op.f("ix_jobs_concept_set_id"), "jobs", ["concept_set_id"], unique=False)
    op.add_column("concepts", sa.Column("details", JSONB(), nullable=True))
    op.create_table(
        "dropped_concepts",
        sa.Column("library_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["library_id"], ["concept_libraries.id"], name=op.f("fk_dropped_concepts_library_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("library_id", "index", name=op.f("pk_dropped_concepts")),
    )


def downgrade() -> None:
    op.drop_table("dropped_concepts")
    op.drop_column("concepts", "details")
    op.drop_column("jobs", "concept_set_id")
    op.drop_column("jobs", "vlm_id")
    op.drop_table("concept_set_versions")
    op.drop_table("concept_sets")
    op.drop_column("models", "tokenizer")
    op.drop_column("models", "text_upload_id")
    op.drop_column("models", "role")
