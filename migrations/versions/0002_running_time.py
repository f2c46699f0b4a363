"""Record the running time of earlier attempts at a job, so that a deadline counts running time only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("ran_seconds", sa.Float(), server_default=sa.text("0"), nullable=False))
    op.execute("UPDATE jobs SET claimed_at = running_at WHERE state IN ('running', 'canceling')")


def downgrade() -> None:
    op.drop_column("jobs", "ran_seconds")
    op.drop_column("jobs", "claimed_at")
