"""Share links: read-only access to one result, concept, image or study without an API key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("study_id", sa.Text(), nullable=True),
        sa.Column("concept", sa.Integer(), nullable=True),
        sa.Column("image", sa.Integer(), nullable=True),
        sa.Column("contents", JSONB(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('result', 'concept', 'image', 'study')", name=op.f("ck_shares_kind")),
        sa.CheckConstraint(
            "(kind = 'study') = (study_id IS NOT NULL) AND (kind = 'study') = (job_id IS NULL)", name=op.f("ck_shares_target")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_shares_owner_id")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_shares_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name=op.f("fk_shares_study_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sa.UniqueConstraint("digest", name=op.f("uq_shares_digest")),
    )
    op.create_index("ix_shares_owner_id_id", "shares", ["owner_id", "id"], unique=False)
    op.create_index(op.f("ix_shares_job_id"), "shares", ["job_id"], unique=False)
    op.create_index(op.f("ix_shares_study_id"), "shares", ["study_id"], unique=False)
    op.create_index(op.f("ix_shares_expires_at"), "shares", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("shares")
