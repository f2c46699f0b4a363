"""Names, notes, tags and metadata of resources; summaries and running times of jobs, and the indexes by which they are filtered and sorted.

Workers write the summaries of earlier jobs during maintenance. A downgrade removes what owners wrote, but not the names of models, data
sets and studies.
"""

from __future__ import annotations

from alembic import op

from app.db.concurrent_indexes import create_index, drop_index

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DESCRIBED = ("models", "datasets", "studies", "concept_libraries", "jobs")
UNNAMED = ("concept_libraries", "jobs")
"""Tables that had no names before."""
COLUMNS = ("notes text", "tags text[] NOT NULL DEFAULT '{}'", "user_metadata jsonb NOT NULL DEFAULT '{}'")
OF_JOBS = ("summary jsonb", "stage_seconds jsonb")
IIS_ORDER = "COALESCE((summary ->> 'iis'::text)::double precision, '-Infinity'::double precision)"
INDEXES = ("ix_jobs_owner_id_iis", "ix_jobs_tags", "ix_jobs_user_metadata", "ix_jobs_unsummarised")


def upgrade() -> None:
    for table in DESCRIBED:
        columns = [*COLUMNS, *(["name text"] if table in UNNAMED else []), *(OF_JOBS if table == "jobs" else [])]
        op.execute(f"ALTER TABLE {table} " + ", ".join(f"ADD COLUMN IF NOT EXISTS {column}" for column in columns))
    create_index("ix_jobs_owner_id_iis", "jobs", "owner_id", f"({IIS_ORDER})", "id")
    create_index("ix_jobs_tags", "jobs", "tags", where="tags <> '{}'::text[]", method="gin")
    create_index("ix_jobs_user_metadata", "jobs", "user_metadata jsonb_path_ops", where="user_metadata <> '{}'::jsonb", method="gin")
    create_index("ix_jobs_unsummarised", "jobs", "id", where="kind = 'score' AND state = 'succeeded' AND summary IS NULL")


def downgrade() -> None:
    for name in INDEXES:
        drop_index(name)
    for table in DESCRIBED:
        columns = [*COLUMNS, *(["name text"] if table in UNNAMED else []), *(OF_JOBS if table == "jobs" else [])]
        op.execute(f"ALTER TABLE {table} " + ", ".join(f"DROP COLUMN IF EXISTS {column.split()[0]}" for column in columns))
