"""Index for scheduling by the time of each owner's last claim; time of cancellation of studies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_owner_id_claimed_at", "jobs", ["owner_id", "claimed_at"], unique=False)
    op.add_column("studies", sa.Column("canceled_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "canceled_at")
    op.drop_index("ix_jobs_owner_id_claimed_at", table_name="jobs")
