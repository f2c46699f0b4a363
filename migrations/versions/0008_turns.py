"""Owners take turns: when each was served last."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_owner_id_claimed_at", "jobs", ["owner_id", "claimed_at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_jobs_owner_id_claimed_at", table_name="jobs")
