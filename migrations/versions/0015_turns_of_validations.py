"""Index of the first queued job of each owner; quota of pending validations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.concurrent_indexes import create_index, drop_index

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_jobs_queued", "jobs", "owner_id", "(\"left\"(kind, 6) <> 'check_'::text)", "queued_at", "id", where="state = 'queued'")
    op.add_column("owners", sa.Column("quota_pending_validations", sa.Integer(), nullable=True))


def downgrade() -> None:
    drop_index("ix_jobs_queued")
    op.drop_column("owners", "quota_pending_validations")
