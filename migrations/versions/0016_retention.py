"""Retention periods of owners, and the indexes by which expired rows and references to them are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.concurrent_indexes import create_index, drop_index

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

PERIODS = ("retention_results_days", "retention_failed_jobs_days", "retention_events_days", "retention_deleted_days")
STUDY_CELL_COLUMNS = ("model_id", "dataset_id", "library_dataset_id")


def upgrade() -> None:
    create_index("ix_jobs_finished_at", "jobs", "finished_at", where="finished_at IS NOT NULL")
    create_index("ix_jobs_explained", "jobs", "(spec ->> 'job'::text)", where="kind = 'explain'")
    create_index("ix_job_events_expiring", "job_events", "created_at", where="type <> 'state'")
    create_index("ix_results_library_id", "results", "library_id")
    for column in STUDY_CELL_COLUMNS:
        create_index(f"ix_study_cells_{column}", "study_cells", column)
    for name in PERIODS:
        op.add_column("owners", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    for name in (*(f"ix_study_cells_{column}" for column in STUDY_CELL_COLUMNS), "ix_results_library_id"):
        drop_index(name)
    for name in ("ix_job_events_expiring", "ix_jobs_explained", "ix_jobs_finished_at"):
        drop_index(name)
    for name in PERIODS:
        op.drop_column("owners", name)
