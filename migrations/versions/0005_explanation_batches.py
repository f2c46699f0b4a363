"""Create the table of results of explain jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "explanation_batches",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("summary", JSONB(), nullable=False),
        sa.Column("jsonl_sha256", sa.Text(), nullable=False),
        sa.Column("parquet_sha256", sa.Text(), nullable=False),
        sa.Column("offsets_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_explanation_batches_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["jsonl_sha256"], ["blobs.sha256"], name=op.f("fk_explanation_batches_jsonl_sha256")),
        sa.ForeignKeyConstraint(["parquet_sha256"], ["blobs.sha256"], name=op.f("fk_explanation_batches_parquet_sha256")),
        sa.ForeignKeyConstraint(["offsets_sha256"], ["blobs.sha256"], name=op.f("fk_explanation_batches_offsets_sha256")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_explanation_batches")),
    )


def downgrade() -> None:
    op.drop_table("explanation_batches")
