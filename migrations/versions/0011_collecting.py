"""For garbage collection: last use of stage outputs, indexes on references to content, and no uploads on deleted models and data sets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

INDEXES = (
    ("stage_artifacts", "blob_sha256"),
    ("stage_artifacts", "used_at"),
    ("uploads", "sha256"),
    ("uploads", "expires_at"),
    ("models", "upload_id"),
    ("models", "text_upload_id"),
    ("datasets", "upload_id"),
    ("plots", "blob_sha256"),
    ("explanation_batches", "jsonl_sha256"),
    ("explanation_batches", "parquet_sha256"),
    ("explanation_batches", "offsets_sha256"),
)


def upgrade() -> None:
    op.add_column("stage_artifacts", sa.Column("used_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False))
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_index(
        "ix_concept_libraries_exemplars", "concept_libraries", [sa.text("((settings -> 'exemplars'::text) ->> 'sha256'::text)")]
    )
    op.execute("UPDATE models SET upload_id = NULL, text_upload_id = NULL WHERE deleted_at IS NOT NULL")
    op.execute("UPDATE datasets SET upload_id = NULL WHERE deleted_at IS NOT NULL")
    # Complete uploads had no expiry before; theirs starts now.
    op.execute("UPDATE uploads SET expires_at = now() + interval '1 day' WHERE state = 'complete'")


def downgrade() -> None:
    op.drop_index("ix_concept_libraries_exemplars", table_name="concept_libraries")
    for table, column in reversed(INDEXES):
        op.drop_index(f"ix_{table}_{column}", table_name=table)
    op.drop_column("stage_artifacts", "used_at")
