"""Webhook that the request of a job or study names, and the memory and bytes that a job used."""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

COLUMNS = (("studies", "webhook_id text"), ("jobs", "webhook_id text"), ("jobs", "webhook_events jsonb"), ("jobs", "stage_usage jsonb"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}")


def downgrade() -> None:
    for table, column in COLUMNS:
        op.execute(f"ALTER TABLE {table} DROP COLUMN IF EXISTS {column.split()[0]}")
