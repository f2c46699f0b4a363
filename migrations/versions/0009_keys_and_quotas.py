"""Scopes and expiry of API keys, retired secrets, and quotas per owner. The downgrade revokes keys with restricted scopes or an expiry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

QUOTAS = ("quota_open_uploads", "quota_unfinished_jobs", "quota_jobs_per_day")
MOMENTS = ("expires_at", "rotated_at", "last_used_at")


def upgrade() -> None:
    op.add_column("owners", sa.Column("quota_stored_bytes", sa.BigInteger(), nullable=True))
    for name in QUOTAS:
        op.add_column("owners", sa.Column(name, sa.Integer(), nullable=True))
    # Keys of earlier releases have all scopes; new keys must state theirs, hence no default.
    op.add_column("api_keys", sa.Column("scopes", sa.ARRAY(sa.Text()), server_default="{read,write,admin}", nullable=False))
    op.alter_column("api_keys", "scopes", server_default=None)
    op.create_check_constraint(
        op.f("ck_api_keys_scopes"), "api_keys", "scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0"
    )
    for name in MOMENTS:
        op.add_column("api_keys", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "retired_secrets",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], name=op.f("fk_retired_secrets_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_retired_secrets")),
    )
    op.create_index(op.f("ix_retired_secrets_key_id"), "retired_secrets", ["key_id"], unique=False)
    unfinished = sa.text("state IN ('queued', 'running', 'canceling')")
    op.create_index("ix_jobs_owner_id_unfinished", "jobs", ["owner_id"], unique=False, postgresql_where=unfinished)


def downgrade() -> None:
    op.drop_index("ix_jobs_owner_id_unfinished", table_name="jobs")
    op.drop_table("retired_secrets")
    # An earlier release would accept these keys with all scopes and without expiry.
    op.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE revoked_at IS NULL"
        " AND (expires_at IS NOT NULL OR NOT scopes @> ARRAY['read', 'write', 'admin'])"
    )
    for name in reversed(MOMENTS):
        op.drop_column("api_keys", name)
    op.drop_constraint(op.f("ck_api_keys_scopes"), "api_keys", type_="check")
    op.drop_column("api_keys", "scopes")
    for name in reversed(QUOTAS):
        op.drop_column("owners", name)
    op.drop_column("owners", "quota_stored_bytes")
