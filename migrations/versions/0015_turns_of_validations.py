"""Index of the first queued job of each owner; quota of pending validations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["owner_id", sa.text("(\"left\"(kind, 6) <> 'check_'::text)"), "queued_at", "id"],
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.add_column("owners", sa.Column("quota_pending_validations", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("owners", "quota_pending_validations")
    op.drop_index("ix_jobs_queued", table_name="jobs")
