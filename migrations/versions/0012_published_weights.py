"""Models: the published weights that an upload comes from, and the pooling of a named layer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = ("weights_of", "pooling")


def upgrade() -> None:
    for column in COLUMNS:
        op.add_column("models", sa.Column(column, sa.Text(), nullable=True))


def downgrade() -> None:
    for column in COLUMNS:
        op.drop_column("models", column)
