"""Lineage of fine-tuned models, and results of finetune jobs. The downgrade deletes these jobs and keeps their models."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("lineage", JSONB(), nullable=True))
    op.create_table(
        "finetune_results",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("findings", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_finetune_results_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_finetune_results_model_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_finetune_results")),
    )


def downgrade() -> None:
    op.drop_table("finetune_results")
    op.execute("DELETE FROM jobs WHERE kind = 'finetune'")  # cascades to their events
    op.drop_column("models", "lineage")
