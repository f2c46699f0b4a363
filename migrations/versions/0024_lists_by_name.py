"""Indexes of lists by name and of leaderboards: parts of jobs' names, sorted names, and the settings that a leaderboard compares.

Workers write `jobs.board` of earlier jobs during maintenance.
"""

from __future__ import annotations

from alembic import op

from app.db.concurrent_indexes import create_index, drop_index

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None

NAME_NGRAMS = """
    CREATE OR REPLACE FUNCTION name_ngrams(name text, least_size integer) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 100 AS
    $$
    SELECT ARRAY(
        SELECT DISTINCT substr(lower(name), first, size)
        FROM generate_series(least_size, 3) AS size, generate_series(1, char_length(lower(name)) - size + 1) AS first
    )
    $$
"""
"""Parts of a name of up to three characters in lower case. An own function, since not every server has the extension pg_trgm."""
SCORED = "kind = 'score' AND state = 'succeeded'"
SORTED_BY_NAME = ("models", "datasets", "studies", "concept_libraries")


def upgrade() -> None:
    op.execute("ALTER TABLE jobs ADD COLUMN IF NOT EXISTS board text")
    op.execute(NAME_NGRAMS)
    create_index("ix_jobs_name_ngrams", "jobs", "name_ngrams(name, 1)", method="gin", options="fastupdate = off")
    create_index("ix_jobs_board", "jobs", "owner_id", "board", "dataset_id", "model_id", where="board <> ''::text")
    create_index("ix_jobs_unsummarised", "jobs", "id", where=f"{SCORED} AND (summary IS NULL OR board IS NULL)")
    create_index("ix_jobs_owner_id_unsuccessful", "jobs", "owner_id", "state", "id", where="state IN ('failed', 'canceled')")
    create_index("ix_jobs_owner_id_other_kind", "jobs", "owner_id", "kind", "id", where="kind <> 'score'::text")
    for table in SORTED_BY_NAME:
        create_index(f"ix_{table}_owner_id_name", table, "owner_id", "lower(COALESCE(name, ''::text))", "id")


def downgrade() -> None:
    for table in SORTED_BY_NAME:
        drop_index(f"ix_{table}_owner_id_name")
    for name in ("board", "name_ngrams", "owner_id_unsuccessful", "owner_id_other_kind"):
        drop_index(f"ix_jobs_{name}")
    create_index("ix_jobs_unsummarised", "jobs", "id", where=f"{SCORED} AND summary IS NULL")
    op.execute("DROP FUNCTION IF EXISTS name_ngrams(text, integer)")
    op.execute("ALTER TABLE jobs DROP COLUMN IF EXISTS board")
