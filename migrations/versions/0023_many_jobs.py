"""Indexes of lists by name and of leaderboards, and the kinds of workers: which are alive, and which one a queued job or a task wants.

Workers write `jobs.board` of earlier jobs during maintenance.
"""

from __future__ import annotations

from alembic import op

from app.db.concurrent_indexes import create_index, drop_index

revision = "0023"
down_revision = "0022"
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
JOB_WANTS = """
    CREATE OR REPLACE FUNCTION job_wants(kind text, model_id text, spec jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$
    SELECT CASE
        WHEN kind = 'finetune' OR kind = 'score' AND model_id IS NOT NULL OR kind = 'explain' AND spec ->> 'upload' IS NOT NULL THEN 'gpu'
        WHEN kind = 'score' THEN 'any'
        ELSE 'cpu'
    END
    $$
"""
"""Kind of worker that a job wants: a GPU for networks. Heads of ready features may be small or large."""
SCORED = "kind = 'score' AND state = 'succeeded'"
SORTED_BY_NAME = ("models", "datasets", "studies", "concept_libraries")


def upgrade() -> None:
    op.execute("ALTER TABLE job_tasks ADD COLUMN IF NOT EXISTS wants text")
    op.execute(
        "CREATE TABLE IF NOT EXISTS workers ("
        "name text CONSTRAINT pk_workers PRIMARY KEY, kind text NOT NULL, alive_until timestamptz NOT NULL)"
    )
    op.execute(NAME_NGRAMS)
    op.execute(JOB_WANTS)
    op.execute("ALTER TABLE jobs ADD COLUMN IF NOT EXISTS board text")
    create_index("ix_jobs_name_ngrams", "jobs", "name_ngrams(name, 1)", method="gin", options="fastupdate = off")
    create_index("ix_jobs_board", "jobs", "owner_id", "board", "dataset_id", "model_id", where="board <> ''::text")
    create_index("ix_jobs_unsummarised", "jobs", "id", where=f"{SCORED} AND (summary IS NULL OR board IS NULL)")
    create_index("ix_jobs_owner_id_unsuccessful", "jobs", "owner_id", "state", "id", where="state IN ('failed', 'canceled')")
    create_index("ix_jobs_owner_id_other_kind", "jobs", "owner_id", "kind", "id", where="kind <> 'score'::text")
    create_index(
        *(
            "ix_jobs_queued_wants",
            "jobs",
            "owner_id",
            "job_wants(kind, model_id, spec)",
            "(\"left\"(kind, 6) <> 'check_'::text)",
            "queued_at",
            "id",
        ),
        where="state = 'queued'",
    )
    for table in SORTED_BY_NAME:
        create_index(f"ix_{table}_owner_id_name", table, "owner_id", "lower(COALESCE(name, ''::text))", "id")


def downgrade() -> None:
    for table in SORTED_BY_NAME:
        drop_index(f"ix_{table}_owner_id_name")
    for name in ("queued_wants", "board", "name_ngrams", "owner_id_unsuccessful", "owner_id_other_kind"):
        drop_index(f"ix_jobs_{name}")
    create_index("ix_jobs_unsummarised", "jobs", "id", where=f"{SCORED} AND summary IS NULL")
    op.execute("DROP FUNCTION IF EXISTS name_ngrams(text, integer)")
    op.execute("DROP FUNCTION IF EXISTS job_wants(text, text, jsonb)")
    op.execute("DROP TABLE IF EXISTS workers")
    op.execute("ALTER TABLE job_tasks DROP COLUMN IF EXISTS wants")
    op.execute("ALTER TABLE jobs DROP COLUMN IF EXISTS board")
