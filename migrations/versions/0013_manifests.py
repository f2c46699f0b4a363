"""A data set's manifest: a table that names its images, inside the data or in an upload of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("datasets", sa.Column("manifest", postgresql.JSONB(), nullable=True))
    op.add_column("datasets", sa.Column("manifest_upload_id", sa.Text(), nullable=True))
    op.create_foreign_key(op.f("fk_datasets_manifest_upload_id"), "datasets", "uploads", ["manifest_upload_id"], ["id"])
    op.create_index("ix_datasets_manifest_upload_id", "datasets", ["manifest_upload_id"])


def downgrade() -> None:
    op.drop_index("ix_datasets_manifest_upload_id", table_name="datasets")
    op.drop_constraint(op.f("fk_datasets_manifest_upload_id"), "datasets", type_="foreignkey")
    op.drop_column("datasets", "manifest_upload_id")
    op.drop_column("datasets", "manifest")
