"""Studies and their cells, untrained models (initial_seed), and libraries built from another data set.

The downgrade drops studies and keeps their jobs. Untrained models, and unfinished jobs on them or on another library data set, fail.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("initial_seed", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("library_dataset_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_jobs_library_dataset_id"), "jobs", "datasets", ["library_dataset_id"], ["id"])
    op.create_index(op.f("ix_jobs_library_dataset_id"), "jobs", ["library_dataset_id"], unique=False)
    op.create_table(
        "studies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("grid", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("extended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_studies_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
    )
    op.create_index("ix_studies_owner_id_id", "studies", ["owner_id", "id"], unique=False)
    op.create_table(
        "study_cells",
        sa.Column("study_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
        sa.Column("request_digest", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=True),
        sa.Column("dataset_id", sa.Text(), nullable=False),
        sa.Column("library", sa.Integer(), nullable=False),
        sa.Column("concept_count", sa.Integer(), nullable=False),
        sa.Column("library_dataset_id", sa.Text(), nullable=True),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name=op.f("fk_study_cells_dataset_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_study_cells_job_id")),
        sa.ForeignKeyConstraint(["library_dataset_id"], ["datasets.id"], name=op.f("fk_study_cells_library_dataset_id")),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_study_cells_model_id")),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_study_cells_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_study_cells")),
        sa.UniqueConstraint("study_id", "request_digest", name=op.f("uq_study_cells_study_id_request_digest")),
    )
    op.create_index(op.f("ix_study_cells_job_id"), "study_cells", ["job_id"], unique=False)


FAIL_UNSUPPORTED_ROWS = """
    CREATE TEMPORARY TABLE refusal ON COMMIT DROP AS SELECT jsonb_build_object(
        'code', 'not_supported', 'message', 'The service was taken back to a release that knows no such thing.', 'param', NULL
    ) AS error;
    UPDATE jobs SET state = 'failed', finished_at = now(), lease_token = NULL, lease_expires_at = NULL, error = refusal.error FROM refusal
    WHERE state IN ('queued', 'running', 'canceling')
    AND (library_dataset_id IS NOT NULL OR model_id IN (SELECT id FROM models WHERE initial_seed IS NOT NULL));
    UPDATE models SET state = 'failed', error = refusal.error FROM refusal WHERE initial_seed IS NOT NULL
"""


def downgrade() -> None:
    op.execute(FAIL_UNSUPPORTED_ROWS)
    op.drop_table("study_cells")
    op.drop_table("studies")
    op.drop_column("jobs", "library_dataset_id")
    op.drop_column("models", "initial_seed")
